"""Unplug drills on a scored market: each rung of the ladder is reached and left again, and the API says so.

One market for the whole story: training it takes longer than all that is asked of it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from models.contracts.clock import MarketClock
from models.contracts.jobs import HOURLY_REFRESH, KEEPER, TRAINING
from models.contracts.market import DataMode
from orchestration import quiet
from orchestration.assets.promotion import decide_and_write
from orchestration.issuing import issue
from orchestration.resources.model_registry import ModelRegistry
from orchestration.resources.workspace import Workspace
from orchestration.settings import load_settings
from serving.app import create_app
from serving.settings import ServingSettings
from tests.orchestration.planted import DAYS, add_features, at, coins, evaluated, set_up

LAST_DAY = 8
BTC = {"subject": "BTC", "horizon_days": 1}
QUARTER = timedelta(minutes=15)


@dataclass
class Market:
    """A market with a champion and, in its bundle, a baseline in shadow. `day`: the newest whose features are there."""

    workspace: Workspace
    registry: ModelRegistry
    bundle: Path
    rows: pd.DataFrame
    day: int = 0

    def refresh(self, is_new_day: bool = True) -> None:
        """What the hourly job does: a day's features, scores, and a note that it ended well."""
        if is_new_day:
            self.day += 1
            add_features(self.workspace, self.rows[self.rows["as_of"] == pd.Timestamp(at(self.day))])
        self.clock(QUARTER)
        issue(self.workspace, self.registry, f"run {self.day}", logging.getLogger(__name__))
        now = self.workspace.now()
        for job in (HOURLY_REFRESH, TRAINING, KEEPER):
            self.workspace.warehouse.record_job_run(
                job, f"run {self.day}", ok=True, started_at=now, finished_at=now, market_time=now
            )

    def clock(self, past_midnight: timedelta) -> None:
        self.workspace.warehouse.set_clock(MarketClock(at(self.day) + past_midnight, None, 1.0))


@pytest.fixture
def market(serving_url: str, empty_database_url: str, tmp_path: Path) -> Iterator[Market]:
    with quiet.libraries():
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        SqlAlchemyStore(empty_database_url, tmp_path.as_uri())
    registry = ModelRegistry(tracking_uri=empty_database_url, artifact_root=str(tmp_path))
    workspace = Workspace.of(load_settings({"BALLAST_STATE": str(tmp_path)}), serving_url)
    workspace.warehouse.set_market("simulated", DataMode.SIMULATED, 7, MarketClock(at(0), None, 1.0))
    rows = coins(at(LAST_DAY), DAYS + LAST_DAY)
    known = rows[rows["as_of"] <= pd.Timestamp(at(0))]
    set_up(workspace, known)
    work, forecasts, decision = evaluated(workspace, known, "d1", 0.2)
    entry, _ = decide_and_write(workspace, registry, work, forecasts, decision, "run")
    assert entry is not None
    yield Market(workspace, registry, tmp_path / entry.evidence["bundle"], rows)
    workspace.close()


def told(client: TestClient) -> tuple[str | None, list[str], dict[str, Any]]:
    """Rung and codes of the newest score of BTC as the API tells them, and the score. Rung None: the champion."""
    answer = client.get("/v1/risk/current", params=BTC)
    body = answer.json()
    (score,) = body["scores"] if answer.status_code == 200 else body["last_known"]
    assert (answer.status_code == 200) is not score["stale"]
    degradation = score["degradation"]
    if degradation is None:
        assert body["degradation"] is None
        return None, [], score
    assert body["degradation"]["rung"] == degradation["rung"], "the whole answer stands on the worst rung in it"
    return degradation["rung"], [cause["code"] for cause in degradation["causes"]], score


def test_each_rung_is_reached_and_left_again(market: Market, serving_url: str, writer: Engine, tmp_path: Path) -> None:
    app = create_app(ServingSettings(serving_url, standing_s=0))
    with TestClient(app) as client:
        market.refresh(is_new_day=False)
        rung, _, champion = told(client)
        assert (rung, champion["status"]) == (None, "ok")

        # MLflow is away: what serves needs only its files.
        plugged = market.registry
        market.registry = plugged.model_copy(update={"tracking_uri": "postgresql://nobody@127.0.0.1:1/none"})
        market.refresh()
        assert told(client)[:2] == (None, [])

        # A file of the champion is gone as well: the baseline beside it speaks, and is trusted less.
        model = next(path for path in market.bundle.iterdir() if path.is_file())
        kept = model.read_bytes()
        model.unlink()
        market.refresh()
        rung, codes, baseline = told(client)
        assert (rung, codes, baseline["status"], baseline["degraded"]) == ("baseline", ["model_file"], "degraded", True)
        assert baseline["score"] is not None
        assert baseline["degradation"]["since"] == baseline["issued_at"]
        assert baseline["reasons"][-1].startswith("a baseline speaks in the place of the champion: the files of ")

        # So is the baseline: nobody speaks, and the last number is told as what it is.
        (shadow,) = (market.bundle / "shadow").iterdir()
        shadow.rename(tmp_path / "aside")
        market.refresh()
        rung, codes, silent = told(client)
        assert (rung, codes, silent["score"]) == ("last_good", ["model_file"], None)
        assert silent["degradation"]["last_good"]["score"] == baseline["score"]
        assert silent["degradation"]["last_good"]["as_of"] == baseline["as_of"]

        # Everything is back, MLflow too.
        (tmp_path / "aside").rename(shadow)
        model.write_bytes(kept)
        market.registry = plugged
        market.refresh()
        assert told(client)[:2] == (None, [])

        # The daemon is away: what was said stays until it expires, then it is only the last good one.
        fresh = told(client)[2]
        market.clock(timedelta(hours=2))
        assert told(client)[:2] == (None, [])
        market.clock(timedelta(hours=3))
        rung, codes, late = told(client)
        assert (rung, codes, late["score"], late["stale"]) == ("last_good", ["scoring_late"], fresh["score"], True)
        assert client.get("/health").json()["degradation"]["rung"] in ("last_good", "none")
        market.refresh()
        assert told(client)[:2] == (None, [])

        # A feed stands still while the job goes on.
        market.clock(timedelta(hours=3))
        market.workspace.warehouse.record_job_run(
            HOURLY_REFRESH, "late", ok=True, started_at=market.workspace.now(), finished_at=market.workspace.now(),
            market_time=market.workspace.now(),
        )  # fmt: skip
        _freshness(writer, market)
        rung, codes, _ = told(client)
        assert (rung, codes) == ("last_good", ["stale_feed"])
        market.refresh()
        _freshness(writer, market)
        rung, codes, newest = told(client)
        assert (rung, codes) == (None, [])

        # The database is away: the scores it gave last are told, in a process that has read them.
        with unplugged(serving_url):
            rung, codes, remembered = told(client)
            assert (rung, codes) == ("last_good", ["database_away"])
            assert (remembered["score"], remembered["stale"]) == (newest["score"], False)
            with TestClient(create_app(ServingSettings(serving_url))) as ignorant:
                answer = ignorant.get("/v1/risk/current", params=BTC)
            assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        assert told(client)[:2] == (None, [])


def _freshness(writer: Engine, market: Market) -> None:
    """What the scan of gaps says of the feed: its newest bar is that of midnight."""
    with writer.begin() as connection:
        connection.execute(
            text(
                "insert into ops.freshness (dataset, series, interval, newest_ts, newest_available_at, age_s, "
                "max_age_s, stale, checked_at) values ('candles', 'BTC', '1h', :at, :at, 0, 7200, false, :at) "
                "on conflict (dataset, series, interval) do update set newest_ts = excluded.newest_ts, "
                "newest_available_at = excluded.newest_available_at"
            ),
            {"at": at(market.day)},
        )


@contextmanager
def unplugged(url: str) -> Iterator[None]:
    """Within the block nobody can connect to the database, and who was is thrown out."""
    name = make_url(url).database
    server = make_url(url).set(database="postgres")
    with create_engine(server, poolclass=NullPool, isolation_level="AUTOCOMMIT").connect() as admin:
        admin.execute(text(f'alter database "{name}" allow_connections false'))
        try:
            ended = text("select pg_terminate_backend(pid) from pg_stat_activity where datname = :name")
            admin.execute(ended, {"name": name})
            yield
        finally:
            admin.execute(text(f'alter database "{name}" allow_connections true'))
