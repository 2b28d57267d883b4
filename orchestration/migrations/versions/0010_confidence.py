"""Scores carry their predictive interval and how far their inputs are to be trusted."""

from __future__ import annotations

from pathlib import Path

import yaml
from alembic import op

revision = "0010"
down_revision = "0009"

_COLUMNS = ("rv_low", "rv_high", "confidence")
_WORDS = Path(__file__).resolve().parents[1] / "comments" / "risk.yaml"


def upgrade() -> None:
    op.execute("""
        alter table risk.scores
            add column rv_low double precision,
            add column rv_high double precision,
            add column confidence double precision check (confidence between 0 and 1)
    """)
    columns = yaml.safe_load(_WORDS.read_text(encoding="utf-8"))["tables"]["scores"]["columns"]
    for name in _COLUMNS:
        words = " ".join(columns[name].split()).replace("'", "''").replace("%", "%%")
        op.get_bind().exec_driver_sql(f"comment on column risk.scores.{name} is '{words}'")


def downgrade() -> None:
    raise NotImplementedError("history is never dropped: restore a backup instead")
