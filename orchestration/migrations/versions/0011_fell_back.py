"""The ledger knows a champion that stands in for what the gate chose."""

from __future__ import annotations

from alembic import op

from orchestration.migrations.describe import describe

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.execute("""
        alter table ml.promotions
            drop constraint promotions_action_check,
            add constraint promotions_action_check
                check (action in ('promoted', 'rolled_back', 'fell_back', 'held', 'refused', 'expired'))
    """)
    describe("ml", {"promotions": ("action", "evidence")})


def downgrade() -> None:
    raise NotImplementedError("history is never dropped: restore a backup instead")
