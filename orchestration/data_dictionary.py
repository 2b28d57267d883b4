"""The data dictionary: what the database says of itself, and what the YAML beside the dbt models says of them.

Here: reading the catalogue and rendering. Types, keys and nullability are the catalogue's; the words of tables that
migrations make are its comments, those of dbt models their descriptions. The page is written by its own test
(`BALLAST_UPDATE_GOLDEN=1 pytest tests/dbt/test_dictionary.py`), which also keeps it from getting stale.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import Connection, text

from orchestration.dbt_command import DBT_DIR
from orchestration.settings import PROJECT_ROOT

PAGE = PROJECT_ROOT / "docs" / "data_dictionary.md"
_MARK = "<!-- From here on generated; what stands above is written by hand. -->\n"
_LAYERS = {
    "staging": "Views of dbt on the raw tables: which revision is believed. Numbers become `float8` here.",
    "features": "Tables of dbt: explicit calendars, returns, volatility. `features.volatility` is what models read.",
    "serving": "Views of dbt for the API. Column names and types are enforced by contract.",
}
_SCHEMAS = ("raw", "ops", "staging", "features", "ml", "risk", "keeper", "serving")  # along the flow of data
_TYPES = {"timestamp with time zone": "timestamptz", "double precision": "float8"}

_TABLES = """
    select n.nspname as schema, c.relname as name, obj_description(c.oid, 'pg_class') as about
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = any(:schemas) and c.relkind in ('r', 'p', 'v') and not c.relispartition order by 1, 2"""
_COLUMNS = """
    select a.attname as name, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull as required,
        col_description(a.attrelid, a.attnum) as about
    from pg_attribute a where a.attrelid = to_regclass(:table) and a.attnum > 0 and not a.attisdropped
    order by a.attnum"""
_KEYS = """
    select case when i.indisprimary then 'Primary key' else 'Unique' end as kind, columns.names,
        pg_get_expr(i.indpred, i.indrelid) as only_where
    from pg_index i cross join lateral (
        select string_agg('`' || a.attname || '`', ', ' order by a.attnum) as names
        from pg_attribute a where a.attrelid = i.indexrelid
    ) as columns
    where i.indrelid = to_regclass(:table) and i.indisunique order by not i.indisprimary, columns.names"""
_REFERENCES = """
    select a.attname as column, f.confrelid::regclass::text as target
    from pg_constraint f join pg_attribute a on a.attrelid = f.conrelid and a.attnum = f.conkey[1]
    where f.conrelid = to_regclass(:table) and f.contype = 'f' order by 1"""


@dataclass(frozen=True, slots=True)
class Column:
    """`required`: not null; None for a view, of which the catalogue does not know. `meaning` holds the unit."""

    name: str
    type: str
    required: bool | None
    meaning: str


@dataclass(frozen=True, slots=True)
class Table:
    schema: str
    name: str
    about: str
    columns: tuple[Column, ...]
    keys: tuple[str, ...]


def read_tables(connection: Connection) -> list[Table]:
    """Every table and view of our schemas in a database that dbt has built, by schema and name."""
    models = {layer: _models(DBT_DIR / "models" / layer) for layer in _LAYERS}
    found = connection.execute(text(_TABLES), {"schemas": list(_SCHEMAS)}).all()
    return [_table(connection, row.schema, row.name, row.about, models.get(row.schema)) for row in found]


def undescribed(tables: list[Table]) -> list[str]:
    """Names of tables and columns that nobody has described."""
    names = [(f"{table.schema}.{table.name}", table.about) for table in tables]
    names += [(f"{t.schema}.{t.name}.{column.name}", column.meaning) for t in tables for column in t.columns]
    return [name for name, words in names if len(words) < 8]


def render(connection: Connection) -> str:
    """The page as Markdown: its own head, which says how to read it, then the schemas along the flow of data."""
    tables = read_tables(connection)
    parts = [PAGE.read_text(encoding="utf-8").partition(_MARK)[0] + _MARK]
    for schema in _SCHEMAS:
        parts.append(f"## {schema}\n\n{_LAYERS.get(schema) or _about_schema(connection, schema)}\n")
        parts += ["\n".join(_section(table)) for table in tables if table.schema == schema]
    return "\n".join(parts)


def _about_schema(connection: Connection, schema: str) -> str:
    return str(connection.scalar(text("select obj_description(to_regnamespace(:s), 'pg_namespace')"), {"s": schema}))


def _models(folder: Path) -> dict[str, dict[str, Any]]:
    documents = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.yml"))]
    return {model["name"]: model for document in documents for model in document.get("models", [])}


def _table(
    connection: Connection, schema: str, name: str, about: str | None, models: Mapping[str, dict[str, Any]] | None
) -> Table:
    """One relation; with `models` its words are dbt's, else those of the catalogue."""
    model = models.get(name, {}) if models is not None else {}
    described = {column["name"]: column["description"] for column in model.get("columns", [])}
    where = {"table": f"{schema}.{name}"}
    columns = tuple(
        Column(
            row.name,
            _TYPES.get(row.type, row.type),
            row.required if models is None else None,
            (row.about if models is None else described.get(row.name)) or "",
        )
        for row in connection.execute(text(_COLUMNS), where)
    )
    words = about if models is None else model.get("description")
    return Table(schema, name, words or "", columns, tuple(_keys(connection, where)))


def _keys(connection: Connection, where: Mapping[str, str]) -> Iterator[str]:
    for row in connection.execute(text(_KEYS), where):
        yield f"{row.kind}: {row.names}{f' where `{row.only_where}`' if row.only_where else ''}."
    for row in connection.execute(text(_REFERENCES), where):
        yield f"`{row.column}` refers to `{row.target}`."


def _section(table: Table) -> Iterator[str]:
    yield from (f"### {table.schema}.{table.name}", "", _line(table.about), "")
    if table.keys:
        yield from (" ".join(table.keys), "")
    yield from ("| column | type | null | meaning (unit) |", "| --- | --- | --- | --- |")
    for column in table.columns:
        null = "" if column.required is None else "no" if column.required else "yes"
        yield f"| `{column.name}` | {column.type} | {null} | {_line(column.meaning)} |"
    yield ""


def _line(words: str) -> str:
    return " ".join(words.split()).replace("|", "\\|")
