"""Scores carry their predictive interval and how far their inputs are to be trusted."""

from __future__ import annotations

from alembic import op

from orchestration.migrations.describe import describe

revision = "0010"
down_revision = "0009"

_COLUMNS = ("rv_low", "rv_high", "confidence")


def upgrade() -> None:
    op.execute("""
        alter table risk.scores
            add column rv_low double precision,
            add column rv_high double precision,
            add column confidence double precision check (confidence between 0 and 1)
    """)
    describe("risk", {"scores": _COLUMNS})


def downgrade() -> None:
    raise NotImplementedError("history is never dropped: restore a backup instead")
