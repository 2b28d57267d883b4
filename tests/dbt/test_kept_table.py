"""A table that is computed from nothing but its definition is made once: what stands on it stays."""

from __future__ import annotations

from sqlalchemy import Engine, text

from tests.dbt.conftest import Build


def test_the_calendar_is_made_once_a_definition(dbt: Build, market_engine: Engine) -> None:
    """Making it again would drop the views on top of it, and a deploy does not make those again."""

    def run(statement: str) -> object:
        with market_engine.begin() as connection:
            found = connection.execute(text(statement))
            return found.scalar() if found.returns_rows else None

    table = "select to_regclass('features.calendar')::oid"
    dbt("run", "--select", "calendar")
    first = run(table)
    assert first is not None
    dbt("run", "--select", "calendar")
    assert run(table) == first
    run("comment on table features.calendar is 'of another definition'")
    dbt("run", "--select", "calendar")
    assert run(table) != first
    assert run("select count(*) from pg_indexes where schemaname = 'features' and tablename = 'calendar'") == 1
    assert run("select count(*) from features.calendar") == 29_220  # days from 1970 to 2049
