"""The ledger holds more than promotions; forecasts in shadow beside those that serve; a new champion may speak again.

A score of a moment was unique by version, so that a rollback to a version that had scored the same moment before was
only served an hour later. It is now unique by entry of the ledger as well: issued again once for each change of the
champion, and still only once by each.
"""

from __future__ import annotations

from alembic import op

from orchestration.migrations.describe import describe

revision = "0009"
down_revision = "0008"

_DESCRIBED = {
    "ml": {"promotions": ("action", "reason", "evidence", "promoted_by", "promoted_at"),
           "predictions": ("role", "algorithm")},
    "risk": {"scores": ("promotion_id", "status"), "target_allocations": ("promotion_id",)},
}  # fmt: skip


def upgrade() -> None:
    op.execute("""
        alter table ml.promotions add column action text not null default 'promoted'
            check (action in ('promoted', 'rolled_back', 'held', 'refused', 'expired'))
    """)
    op.execute("""
        alter table ml.predictions
            add column role text not null default 'champion' check (role in ('champion', 'baseline', 'challenger')),
            add column algorithm text,
            drop constraint predictions_pkey,
            add primary key (series, horizon_days, as_of, model_name, model_version, role)
    """)
    op.execute("""
        alter table risk.scores
            add column promotion_id bigint not null default 0,
            drop constraint scores_subject_horizon_days_as_of_model_version_status_key,
            add constraint scores_once unique (subject, horizon_days, as_of, model_version, status, promotion_id)
    """)
    op.execute("""
        alter table risk.target_allocations
            add column promotion_id bigint not null default 0,
            drop constraint target_allocations_vault_id_policy_version_as_of_key,
            add constraint targets_once unique (vault_id, policy_version, as_of, promotion_id)
    """)
    for schema, tables in _DESCRIBED.items():
        describe(schema, tables)


def downgrade() -> None:
    raise NotImplementedError("history is never dropped: restore a backup instead")
