"""Which run is the stress test of a vault and day: append-only. The run itself stands in `risk.runs`."""

from __future__ import annotations

from alembic import op

from orchestration.migrations.append_only import append_only
from orchestration.migrations.describe import describe

revision = "0015"
down_revision = "0014"

_STRESS = """
    create table risk.stress (
        id bigint generated always as identity primary key,
        vault_id text not null, as_of timestamptz not null, issued_at timestamptz not null,
        valid_until timestamptz not null check (valid_until > as_of), run text not null references risk.runs (id),
        data_mode text not null, run_id text, recorded_at timestamptz not null default clock_timestamp(),
        unique (vault_id, as_of)
    )"""
_DESCRIBED = {
    "stress": ("id", "vault_id", "as_of", "issued_at", "valid_until", "run", "data_mode", "run_id", "recorded_at")
}


def upgrade() -> None:
    op.execute(_STRESS)
    append_only({"risk.stress": {}})
    describe("risk", _DESCRIBED)


def downgrade() -> None:
    raise NotImplementedError("history is never dropped: restore a backup instead")
