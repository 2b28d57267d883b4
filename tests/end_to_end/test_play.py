"""The whole graph on a small market: killed, its disk full, its server lost; played to its end, again, later."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from models.contracts.clock import MarketClock
from orchestration import quiet
from orchestration.definitions import build_definitions
from orchestration.folders import artifacts
from orchestration.local import processes
from orchestration.local.commands.stack import make_servable
from orchestration.local.database import workspace_databases
from orchestration.local.devnet_process import running_devnet
from orchestration.local.environment import library_environment
from orchestration.partitions import partition_of, read_calendar
from orchestration.resources.workspace import Workspace
from orchestration.settings import export
from tests.end_to_end.conftest import SmallMarket

BALLAST = Path(sys.executable).with_name("ballast")

# What a play leaves, whatever happened on the way: everything but ids, wall times and the ticks that only held.
END_STATE = {
    "raw": "select 'candles', count(*), sum(close)::text from raw.candles union all "
    "select 'fx_rates', count(*), sum(rate)::text from raw.fx_rates order by 1",
    "gaps": "select dataset, series, gap_start, missing_slots, status from ops.gaps order by 1, 2, 3",
    "doubts": "select series, ts, action, reason from raw.quarantine order by 1, 2, 3, 4",
    "features": "select series, count(*), round(sum(rv)::numeric, 12)::text from features.volatility "
    "group by 1 order by 1",
    "walk_forward": "select model, series, horizon_days, count(*), round(sum(rv_forecast)::numeric, 12)::text "
    "from ml.walk_forward group by 1, 2, 3 order by 1, 2, 3",
    "promotions": "select model_name, model_version, algorithm, replaced_version from ml.promotions order by 1, 2",
    "scores": "select subject, horizon_days, as_of, status, round(score::numeric, 9)::text, model_version "
    "from risk.scores order by 1, 2, 3, 4",
    "targets": "select vault_id, as_of, state, weights::text, reasons from risk.target_allocations order by 1, 2",
    "acts": "select d.vault_id, d.score_as_of, i.state from keeper.decisions d join keeper.intents i "
    "on i.decision_id = d.id order by 1, 2",
    "served": "select count(*) from serving.risk_current",
    "holdings": "select distinct series, weights::text from raw.vault_snapshots order by 1, 2",
}


def end_state(market: SmallMarket) -> dict[str, Any]:
    engine = create_engine(market.url, poolclass=NullPool)
    with engine.connect() as connection:
        return {name: [tuple(row) for row in connection.execute(text(sql))] for name, sql in END_STATE.items()}


@dataclass(frozen=True)
class Interruption:
    """What happens to a play once `step` has ended, the exit codes that may follow, and what is told in one line."""

    step: str
    what: str
    codes: tuple[int, ...]
    told: str = ""


# A full disk may meet a step first (told, then the rest is skipped: 1) or what surrounds it (2).
INTERRUPTIONS = (
    Interruption("raw/candles", "full", (1, 2), "no disk space left|No space left on device"),
    Interruption(
        "raw/fx_rates", "server lost", (2,), "the database does not answer; nothing is half-written. Start it"
    ),
    Interruption("ml/walk_forward", "killed", (-signal.SIGKILL,)),
    Interruption("ml/walk_forward", "full", (1, 2), "no disk space left|No space left on device"),
)


def play(market: SmallMarket, interruption: Interruption | None = None) -> str:
    """`ballast run` in a process of its own; what it said. With an interruption the market is whole again after it."""
    market.start_server()
    process = subprocess.Popen(
        [str(BALLAST), "run"], env={**os.environ, **market.variables, "PYTHONUNBUFFERED": "1"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    happens = {
        "killed": process.kill,
        "server lost": market.lose_server,
        "full": lambda: market.disk.turn("full"),
    }
    said = ""
    waiting = interruption
    assert process.stdout is not None
    for line in process.stdout:
        said += line
        if waiting is not None and line.startswith("ok") and waiting.step in line:
            happens[waiting.what]()
            waiting = None
            if interruption is not None and interruption.what == "killed":
                break
    process.stdout.close()
    code = process.wait(timeout=120)
    market.disk.heal()
    assert waiting is None, said
    assert code in (interruption.codes if interruption else (0,)), said
    return said


def interrupted(market: SmallMarket, interruption: Interruption) -> None:
    said = play(market, interruption)
    assert "Traceback" not in said
    assert any(re.search(interruption.told, line) for line in said.splitlines()), said
    if interruption.what != "killed":
        assert processes.marked(market.settings.workspace) == []


@pytest.fixture
def restored_environment() -> Iterator[None]:
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


class Silent:
    def started(self, stage: str) -> None: ...

    def finished(self, stage: str, rows: int | None = None, detail: str = "") -> None: ...

    def failed(self, stage: str, reason: str) -> None: ...

    def note(self, text: str) -> None: ...


def tick(market: SmallMarket) -> dg.ExecuteInProcessResult:
    """One market hour passes; what the schedule and the sensor would ask for is run."""
    settings = market.settings
    export(library_environment(settings, workspace_databases(settings)))
    workspace = Workspace.of(settings, market.url)
    now = workspace.now() + timedelta(hours=1)
    workspace.warehouse.set_clock(MarketClock(now, None, 1.0))
    workspace.close()
    with quiet.libraries(), running_devnet(settings, Silent()), dg.DagsterInstance.get() as instance:
        definitions = build_definitions(settings)
        quietly = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        refreshed = definitions.resolve_job_def("hourly_refresh").execute_in_process(
            instance=instance, partition_key=partition_of(now, read_calendar(settings)), run_config=quietly
        )
        assert definitions.resolve_job_def("keeper").execute_in_process(instance=instance, run_config=quietly).success
        return refreshed


def upgrade(market: SmallMarket) -> None:
    """What `ballast up` does before it serves, on a market that lost views and whose mark is another version's."""
    databases = workspace_databases(market.settings)
    with create_engine(market.url, poolclass=NullPool).begin() as connection:
        connection.execute(text("drop view serving.risk_current"))
        connection.execute(text("drop view features.volatility cascade"))
        connection.execute(text("comment on schema serving is 'deployed as another'"))
    export(library_environment(market.settings, databases))
    make_servable(market.settings, databases, Silent())
    with create_engine(market.url, poolclass=NullPool).connect() as connection:
        assert connection.execute(text("select count(*) from features.volatility")).scalar_one() > 0


def test_a_market_is_interrupted_played_played_again_and_lives_on(
    small_market: SmallMarket, restored_environment: None
) -> None:
    """One market for the whole story: each play costs tens of seconds."""
    for interruption in INTERRUPTIONS:
        interrupted(small_market, interruption)
    said = play(small_market)
    assert "Traceback" not in said
    assert "Warning" not in said
    first = end_state(small_market)
    check_complete(first)
    check_jobs(small_market)
    check_pages(small_market)

    play(small_market)
    assert end_state(small_market) == first
    check_keeper_by_hand(small_market)
    assert end_state(small_market) == first
    upgrade(small_market)
    assert end_state(small_market) == first

    assert tick(small_market).success
    later = end_state(small_market)
    assert newest_moment(later, "BTC") - newest_moment(first, "BTC") == timedelta(hours=1)
    assert newest_moment(later, "vault:mixed") - newest_moment(first, "vault:mixed") == timedelta(hours=1)
    assert len(later["targets"]) == len(first["targets"]) + 1
    assert later["acts"] == first["acts"], "the cooldown holds the second hour"
    assert later["walk_forward"] == first["walk_forward"]


def check_complete(state: dict[str, Any]) -> None:
    """Everything is there, and what may happen only once happened once."""
    assert {row[0] for row in state["scores"]} == {"BTC", "USDNGN:official", "vault:mixed"}
    assert [row for row in state["scores"] if row[3] not in ("ok", "degraded")] == []
    assert [row[1] for row in state["promotions"]] == ["1"] * 6, "a killed training registers nothing twice"
    assert [row[2] for row in state["acts"]] == ["confirmed"]
    assert state["gaps"]
    assert state["doubts"]
    assert len(state["holdings"]) == 1
    assert state["served"] == [(6,)]


def check_keeper_by_hand(market: SmallMarket) -> None:
    """The same keeper without Dagster: it does not act twice, and the switch stops it before anything else does."""

    def said(*words: str) -> str:
        done = subprocess.run(
            [str(BALLAST), "keeper", *words], env={**os.environ, **market.variables}, text=True, capture_output=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "mixed switch run (never set), 0 open" in said("status")
    assert said("once").startswith("mixed: hold (")
    assert "mixed: halt (drill)" in said("pause", "drill")
    assert "mixed: refuse (kill_switch_halt)" in said("once", "--vault", "mixed")
    assert "mixed: run (over)" in said("resume", "over")
    assert said("reconcile") == "mixed: 0 open\n"
    assert "kill_switch_halt" in said("status")


def check_jobs(market: SmallMarket) -> None:
    with create_engine(market.url, poolclass=NullPool).connect() as connection:
        ended = connection.execute(text("select distinct job from ops.job_runs where ok")).scalars().all()
    assert set(ended) == {"hourly_refresh", "training", "keeper"}


def check_pages(market: SmallMarket) -> None:
    """The page of each of the six models, written once although trainings were killed."""
    for path in (
        "model_card.md",
        "drivers.csv",
        "eda.csv",
        "folds.csv",
        "plots/loss_ratio.png",
        "plots/pit.png",
        "plots/volatility_clusters.png",
    ):
        assert len(list(artifacts(market.settings).rglob(path))) == 6, path


def newest_moment(state: dict[str, Any], subject: str) -> datetime:
    return max(row[2] for row in state["scores"] if row[0] == subject)
