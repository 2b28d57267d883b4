"""`ballast leaks`: a table, and an exit code that a script can read."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pandas as pd
import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.pool import NullPool

from models.contracts.market import SeriesKind
from models.validation.leak_sentinel import REGULAR, THOROUGH
from models.validation.leaks import Finding
from orchestration import leak_verdicts
from orchestration.assets import evaluation
from orchestration.leak_verdicts import seed_of
from orchestration.local import cli
from orchestration.resources.database_url import with_database
from tests.orchestration.conftest import catalogue

Put = Callable[..., None]
CLEAN = Finding("cut", "features", 1200, 0)
LEAK = Finding("purge", "log_har", 3, 2, "fitted at 2025-01-01: moves")
YOUNG = Finding("all", "candles 1 d", 0, 0, "no series has 1030 rows yet")
WORK = evaluation.Work(SeriesKind.CANDLES, 1, pd.DataFrame({"series": ["BTC"]}), "data", "code")
AS_OF = datetime(2025, 3, 1, 7, tzinfo=UTC)


@pytest.fixture
def market(environment: Put, server_url: str, template_database: str) -> Iterator[Connection]:
    """A market of two series with a table in place of the features; the connection is to its database."""
    prefix = f"leaks_{uuid.uuid4().hex[:8]}"
    environment(DATABASE_URL=with_database(server_url, prefix))
    admin = create_engine(server_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    own: Engine = create_engine(with_database(server_url, f"{prefix}_simulated"), poolclass=NullPool)
    with admin.connect() as connection:
        connection.execute(text(f"create database {prefix}_simulated template {template_database} strategy file_copy"))
    with own.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        catalogue(connection)
        connection.execute(
            text("create table features.volatility (series text, as_of timestamptz, known_at timestamptz)")
        )
        yield connection
    with admin.connect() as connection:
        connection.execute(text(f"drop database {prefix}_simulated with (force)"))


@pytest.mark.parametrize(
    ("findings", "code", "told"),
    [
        ([CLEAN], 0, "1 probes, no leak"),
        ([CLEAN, LEAK], 1, "1 of 2 probes found a leak"),
        ([YOUNG], 0, "no series has 1030 rows yet"),
    ],
    ids=["clean", "leak", "too-young"],
)
def test_a_leak_is_an_exit_code(
    market: Connection,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    findings: list[Finding],
    code: int,
    told: str,
) -> None:
    monkeypatch.setattr(evaluation, "works", lambda workspace: iter([WORK]))
    monkeypatch.setattr(leak_verdicts, "probe", lambda *arguments: findings)
    assert cli.main(["leaks"]) == code
    assert told in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "seed", "effort"),
    [([], seed_of(WORK.id), REGULAR), (["--seed", "7"], 7, REGULAR), (["--seed", "0", "--thorough"], 0, THOROUGH)],
    ids=["as-in-training", "another-sample", "thorough"],
)
def test_the_sample_is_that_of_the_training_run_unless_another_is_asked_for(
    market: Connection, monkeypatch: pytest.MonkeyPatch, arguments: list[str], seed: int, effort: object
) -> None:
    asked = []
    monkeypatch.setattr(evaluation, "works", lambda workspace: iter([WORK]))
    monkeypatch.setattr(leak_verdicts, "probe", lambda *given: asked.append(given) or [CLEAN])
    assert cli.main(["leaks", *arguments]) == 0
    assert [(given[3], given[4]) for given in asked] == [(seed, effort)]


@pytest.mark.parametrize(("late_s", "code"), [(0, 0), (1, 1)])
def test_the_whole_history_of_the_features_is_looked_at(
    market: Connection, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], late_s: int, code: int
) -> None:
    """A row of a year ago that knew an hour of the next day."""
    monkeypatch.setattr(evaluation, "works", lambda workspace: iter(()))
    market.execute(
        text(
            "insert into features.volatility values ('BTC', :old, :old + :late * interval '1 s'), ('BTC', :new, :new)"
        ),
        {"old": AS_OF, "new": AS_OF.replace(year=2026), "late": late_s},
    )
    assert cli.main(["leaks"]) == code
    assert ("BTC 2025-03-01 07:00:00+00:00" in capsys.readouterr().out) is bool(late_s)
