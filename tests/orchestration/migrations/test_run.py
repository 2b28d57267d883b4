from __future__ import annotations

import multiprocessing

import pytest
from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from orchestration.migrations.run import current_revision, migrate, newest_revision
from orchestration.resources.database_errors import DatabaseUnavailable
from orchestration.resources.database_url import database_name


def _inventory(url: str) -> list[tuple[str, str]]:
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        rows = connection.execute(
            text("select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace "
                 "where n.nspname in ('raw', 'ops', 'ml', 'risk', 'keeper') order by 1, 2")
        )  # fmt: skip
        return [(schema, name) for schema, name in rows]


def test_second_run_changes_nothing(empty_database_url: str) -> None:
    assert current_revision(empty_database_url) is None
    assert migrate(empty_database_url) == newest_revision()
    before = _inventory(empty_database_url)
    assert migrate(empty_database_url) == newest_revision() == current_revision(empty_database_url)
    assert _inventory(empty_database_url) == before
    assert ("ops", "alembic_version") in before
    assert ("raw", "candles_2022") in before


def test_two_processes_at_once(empty_database_url: str) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(migrate, [empty_database_url] * 2) == [newest_revision()] * 2


def test_a_user_without_the_right_to_make_roles(server_url: str, empty_database_url: str) -> None:
    name = database_name(empty_database_url)
    with create_engine(server_url, isolation_level="AUTOCOMMIT", poolclass=NullPool).connect() as connection:
        connection.execute(text("create role plain login"))
        connection.execute(text(f'alter database "{name}" owner to plain'))
        try:
            # Roles of this server exist already (the template's migration made them) and plain is not a member.
            plain_url = empty_database_url.replace("postgres@", "plain@")
            assert migrate(plain_url) == newest_revision()
            with create_engine(plain_url, poolclass=NullPool).begin() as own:
                own.execute(
                    text("insert into keeper.control (scope, mode, reason, set_by) values ('a', 'halt', 'r', 'm')")
                )
        finally:
            connection.execute(text(f'drop database "{name}" with (force)'))
            connection.execute(text("drop role plain"))


HALT = "insert into keeper.control (scope, mode, reason, set_by) values ('a', 'halt', 'r', 'm')"


@pytest.mark.parametrize(
    ("role", "statement", "allowed"),
    [
        ("ballast_reader", "select count(*) from risk.scores", True),
        ("ballast_reader", HALT, False),
        ("ballast_keeper", HALT, True),
        ("ballast_keeper", "delete from keeper.control", False),
        ("ballast_writer", HALT, False),
        ("ballast_writer", "select count(*) from keeper.control", True),
    ],
)  # fmt: skip
def test_roles_may_do_only_their_part(engine: Engine, role: str, statement: str, allowed: bool) -> None:
    with engine.connect() as connection:
        connection.execute(text(f"set role {role}"))
        if allowed:
            connection.execute(text(statement))
            return
        with pytest.raises(DBAPIError, match="permission denied"):
            connection.execute(text(statement))


def test_database_away_is_one_line() -> None:
    with pytest.raises(DatabaseUnavailable, match="does not answer") as caught:
        migrate("postgresql://nobody:secret@127.0.0.1:9/none")
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "insert", "change"),
    [
        (
            "raw.ingest_log",
            "insert into raw.ingest_log (dataset, provider, data_mode, rows_received, rows_added, rows_rejected, "
            "outcome, started_at) values ('candles', 'p', 'simulated', 1, 1, 0, 'ok', now())",
            "rows_added = 2",
        ),
        (
            "raw.candles",
            "insert into raw.candles (series, interval, ts, open, high, low, close, source, provider, data_mode, "
            "available_at, digest) values ('BTC', '1h', '2022-01-01+00', 1, 1, 1, 1, 's', 'p', 'simulated', now(), "
            "gen_random_uuid())",
            "close = 2",
        ),
        (
            "keeper.control",
            "insert into keeper.control (scope, mode, reason, set_by) values ('all', 'halt', 'test', 'me')",
            "mode = 'run'",
        ),
        (
            "ml.promotions",
            "insert into ml.promotions (panel, horizon_days, model_name, model_version, algorithm, reason, evidence, "
            "promoted_by, promoted_at) values ('a', 1, 'm', '1', 'har', 'r', '{}', 'me', now())",
            "reason = 'x'",
        ),
        (
            "risk.run_events",
            "insert into risk.runs (id, kind, input_hash, inputs, data_hash, code_hash, environment_hash, environment, "
            "seed, work, requested_by, requested_at, data_mode) "
            "values ('a', 'backtest', '', '{}', '', '', '', '{}', 0, 1, 'api', now(), 'simulated'); "
            "insert into risk.run_events (run, status, said_by) values ('a', 'queued', 'api')",
            "status = 'done'",
        ),
    ],
)
def test_history_cannot_be_changed(engine: Engine, table: str, insert: str, change: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(insert))
    for statement in (f"update {table} set {change}", f"delete from {table}"):
        with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
            connection.execute(text(statement))
    with engine.connect() as connection:
        assert connection.execute(text(f"select count(*) from {table}")).scalar_one() == 1


def test_every_table_in_contract_exists(engine: Engine) -> None:
    from models.contracts import tables

    names = [value for key, value in vars(tables).items() if key.isupper()]
    inspector = inspect(engine)
    missing = [name for name in names if not inspector.has_table(name.split(".")[1], schema=name.split(".")[0])]
    assert missing == []
