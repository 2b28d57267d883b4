"""`ballast models`: what a person reads about champions, and what is not possible, in one line."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from models.validation.ledger import Action, Entry
from models.validation.power import Reading
from orchestration.local import cli, models_report
from orchestration.local.database import workspace_databases
from orchestration.resources.ledger import add_entry
from orchestration.settings import current_settings
from orchestration.shadow_reading import Comparison, Contest, Side
from tests.orchestration.local.test_cli import on_test_server  # noqa: F401 - a fixture

NAME = "volatility_candles_1d"
START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
GATE = [
    {"model": "har", "qlike": 0.41, "qlike_uncapped": 0.42, "ratio": 1.0, "dm_p_value": None, "accepted": False},
    {"model": "lightgbm", "qlike": 0.36, "qlike_uncapped": 0.37, "ratio": 0.88, "dm_p_value": 0.001, "accepted": True},
]


def entry(day: int, version: str, action: Action = Action.PROMOTED, replaced: str | None = None) -> Entry:
    evidence = {
        "evaluation_id": f"candles-1d-{version}", "data_hash": "d0d0", "code_hash": "c0c0", "gate": GATE,
        "trained_until": (START + (day - 1) * DAY).isoformat(), "bundle_hash": "b0b0",
    }  # fmt: skip
    return Entry(
        0, action, "candles", 1, NAME, version, "lightgbm", replaced, f"reason {version}", evidence,
        "ada" if action is Action.ROLLED_BACK else "gate", START + day * DAY,
    )  # fmt: skip


LEDGER = (
    entry(0, "1"),
    entry(10, "2", replaced="1"),
    entry(20, "1", Action.ROLLED_BACK, "2"),
    entry(25, "3", Action.HELD),
)


@pytest.fixture
def restored_environment() -> Iterator[None]:
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def ledger(on_test_server: None) -> None:  # noqa: F811
    """The clock stands at day 30."""
    engine = create_engine(workspace_databases(current_settings()).ballast, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into ops.market (name, data_mode, seed, clock_anchor) values ('simulated', 'simulated', 7, :at)"
            ),
            {"at": START + 30 * DAY},
        )
        for each in LEDGER:
            add_entry(connection, each, "run")


@pytest.mark.parametrize(
    ("at", "told"),
    [
        ("2025-12-31T23:59:59", "no champion yet"),
        ("2026-01-01", "version 1, lightgbm, promoted by gate at 2026-01-01 00:00 UTC"),
        ("2026-01-10T23:59:59", "version 1, lightgbm, promoted by gate"),
        ("2026-01-11T01:00:00+01:00", "version 2, lightgbm, promoted by gate"),
        ("2026-01-11T00:59:59+01:00", "version 1, lightgbm, promoted by gate"),
        ("2026-01-21", "version 1, lightgbm, rolled back by ada at 2026-01-21 00:00 UTC"),
        ("2030-01-01", "version 1, lightgbm, rolled back by ada"),
    ],
)
def test_who_was_champion_at_any_moment(ledger: None, capsys: pytest.CaptureFixture[str], at: str, told: str) -> None:
    assert cli.main(["models", "ledger", "--at", at, "--model", NAME]) == 0
    assert told in capsys.readouterr().out


def test_on_what_evidence(ledger: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models", "ledger", "--at", "2026-01-12"]) == 0
    page = " ".join(capsys.readouterr().out.split())
    for told in ("reason 2", "candles-1d-2", "data d0d0, code c0c0", "until 2026-01-10; bundle b0b0",
                 "lightgbm QLIKE 0.3600 (uncapped 0.3700), ratio 0.8800, p 0.0010 <- accepted",
                 "har QLIKE 0.4100 (uncapped 0.4200), ratio 1.0000, p -"):  # fmt: skip
        assert told in page


def test_the_whole_ledger(ledger: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models", "ledger"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if NAME in line]
    assert [line[3:] for line in lines] == [
        ["1", "promoted", "gate", "reason", "1"],
        ["2", "from", "1", "promoted", "gate", "reason", "2"],
        ["1", "from", "2", "rolled", "back", "ada", "reason", "1"],
        ["3", "held", "gate", "reason", "3"],
    ]


def test_the_list_says_what_holds_a_champion(ledger: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models", "list"]) == 0
    page = " ".join(capsys.readouterr().out.split())
    assert f"{NAME} 1 lightgbm 2026-01-21 2026-01-20 11 d rolled back from version 2; held until data" in page
    assert "reaches 2026-02-18" in page


@pytest.mark.parametrize(("promotion", "expired"), [(LEDGER[0].id, True), (LEDGER[0].id + 1, False)])
def test_the_list_says_what_has_expired(promotion: int, expired: bool) -> None:
    noted = replace(LEDGER[0], id=9, action=Action.EXPIRED, evidence={"promotion_id": promotion})
    table = models_report.champions_table([LEDGER[0]], [LEDGER[0], noted], START + 40 * DAY)
    assert ("expired: 35 days are allowed" in render(table)) is expired


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["ledger", "--model", "m"], "the ledger has nothing of m"),
        (["rollback", NAME, "--reason", " "], "--reason: say why"),
        (["rollback", "m", "--reason", "x"], "m never had a champion"),
        (["rollback", NAME, "--reason", "x", "--to", "3"], "version 3 was never champion"),
        (["compare", "m"], "m has no champion"),
        (["compare", NAME, "--versions", "1", "7"], "the ledger has no version 7"),
    ],
)
def test_what_is_not_possible_is_one_line(
    ledger: None, restored_environment: None, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert cli.main(["models", *arguments]) == cli.EXPECTED_FAILURE
    captured = capsys.readouterr()
    assert told in captured.err
    assert len(captured.err.strip().splitlines()) == 1


@pytest.mark.parametrize("arguments", [["rollback", NAME], ["promote", NAME, "1"], ["ledger", "--at", "soon"]])
def test_a_reason_and_a_moment_are_asked_for(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["models", *arguments])
    assert ended.value.code == 2


def test_a_comparison_is_readable() -> None:
    own, base = Side("champion", "4", "lightgbm", "e"), Side("baseline", "4", "log_har", "e")
    live, expected = Reading(12, 0.31, 65, 0.15), Reading(1200, 0.3, 69, 1e-9)
    found = Comparison([own, base], [{"rows": 3000, "qlike": 0.3612}, {}], [Contest(base, live, expected)])
    figures = render(models_report.figures_table(found))
    assert ["champion", "4", "lightgbm", "3,000", "0.3612", *["-"] * 7] in [
        line.split() for line in figures.splitlines()
    ]
    contests = render(models_report.contests_table(found))
    cells = next(line.split() for line in contests.splitlines() if line.startswith("baseline"))
    assert cells == ["baseline", "log_har", "0.3100", "12", "65", "0.1500", "0.3000", "69",
                     *["not", "decidable", "yet:", "53", "more", "dates", "at", "this", "d"]]  # fmt: skip
    assert max(map(len, (figures + contests).splitlines())) <= 120


def render(table: object) -> str:
    out = io.StringIO()
    Console(file=out, width=120, color_system=None).print(table)
    return out.getvalue()
