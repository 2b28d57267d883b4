"""What tables and columns mean, from the words in `comments/`, as comments in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from alembic import op

_WORDS = Path(__file__).resolve().parent / "comments"


def describe(schema: str, described: Mapping[str, Sequence[str]]) -> None:
    """Comment on each table of a schema and on the columns named for it."""
    words = yaml.safe_load((_WORDS / f"{schema}.yaml").read_text(encoding="utf-8"))
    statements = []
    for table, columns in described.items():
        own = words["tables"][table]
        statements.append(f"table {schema}.{table} is {_quoted(own['about'])}")
        for column in columns:
            meaning = own["columns"].get(column) or words["common"][column]
            statements.append(f"column {schema}.{table}.{column} is {_quoted(meaning)}")
    op.get_bind().exec_driver_sql("; ".join(f"comment on {each}" for each in statements).replace("%", "%%"))


def _quoted(words: str) -> str:
    return "'" + " ".join(words.split()).replace("'", "''") + "'"
