"""Every table and column says what it means: comments, from the words in `migrations/comments`.

The words are those of this revision. A later column brings its own comment in its own migration.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
import yaml
from alembic import op

revision = "0006"
down_revision = "0005"

_WORDS = Path(__file__).resolve().parents[1] / "comments"


def _quoted(words: str) -> str:
    return "'" + " ".join(words.split()).replace("'", "''") + "'"


def _columns(schema: str) -> list[tuple[str, str]]:
    rows = op.get_bind().execute(
        sa.text(
            "select c.relname, a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid "
            "where c.relnamespace = to_regnamespace(:schema) and c.relkind in ('r', 'p') and not c.relispartition "
            "and a.attnum > 0 and not a.attisdropped order by c.relname, a.attnum"
        ),
        {"schema": schema},
    )
    return [(row.relname, row.attname) for row in rows]


def upgrade() -> None:
    for path in sorted(_WORDS.glob("*.yaml")):
        words = yaml.safe_load(path.read_text(encoding="utf-8"))
        # Tables that a later revision makes are described by it.
        schema, there = words["schema"], {table for table, _ in _columns(words["schema"])}
        tables = {name: table for name, table in words["tables"].items() if name in there}
        statements = [f"schema {schema} is {_quoted(words['about'])}"]
        statements += [f"table {schema}.{name} is {_quoted(table['about'])}" for name, table in tables.items()]
        for table, column in _columns(schema):
            meaning = tables[table]["columns"].get(column) or words["common"][column]
            statements.append(f"column {schema}.{table}.{column} is {_quoted(meaning)}")
        op.get_bind().exec_driver_sql(
            "; ".join(f"comment on {statement}" for statement in statements).replace("%", "%%")
        )


def downgrade() -> None:
    raise NotImplementedError("history is never dropped: restore a backup instead")
