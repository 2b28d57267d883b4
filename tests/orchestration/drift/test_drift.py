"""Calibrations and alarms on a warehouse: three coins of one market, one of which drifts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from sqlalchemy import text

from models.contracts.market import COLUMNS, Dataset
from models.contracts.tables import ML_DRIFT_ALARMS, ML_DRIFT_CALIBRATIONS, ML_PREDICTIONS
from models.drift.alarms import Alarm, DriftKind
from models.timeseries.realised import from_candles
from orchestration.assets.drift import drift_alarms, drift_calibrations
from orchestration.drift.watch import merged
from orchestration.resources.features import PANEL_COLUMNS
from orchestration.resources.workspace import Workspace
from tests.models.drift.streams import market
from tests.orchestration.conftest import NOW

COINS = ("AAA", "BBB", "CCC")
DAYS = 450
HOUR = timedelta(hours=1)

_VIEWS = (
    "create view staging.candles as select series, interval, ts, open, high, low, close, volume_base, volume_quote, "
    "trades, available_at from raw.candles",
    "create view staging.fx_rates as select * from raw.fx_rates",
    "create view features.bar_returns as select series, ts, ln(close::float8) - ln(lag(close::float8) over "
    "(partition by series order by ts)) as r, volume_base::float8 as volume_base from raw.candles",
    "create table features.volatility (series text, kind text, as_of timestamptz, is_origin boolean, "
    + ", ".join(f"{name} float8" for name in PANEL_COLUMNS if name not in ("series", "as_of"))
    + ")",
)


def coins(spoil: Callable[[pd.DataFrame], None] | None = None) -> dict[str, pd.DataFrame]:
    """Bars up to NOW of three coins; `spoil` changes those of the first."""
    base = market(DAYS, peers=len(COINS) - 1)
    assert base.peers is not None
    times = pd.date_range(end=NOW - HOUR, periods=DAYS * 24, freq="1h")
    found = {}
    for name, returns in zip(COINS, [base.returns, *base.peers.T], strict=True):
        bars = pd.DataFrame({"r": returns, "volume_base": base.volume}, index=times)
        if name == COINS[0] and spoil is not None:
            spoil(bars)
        close = 100 * np.exp(bars["r"].cumsum())
        open_ = close.shift(1, fill_value=100.0)
        found[name] = bars.assign(
            open=open_, close=close, high=np.maximum(open_, close) * 1.001, low=np.minimum(open_, close) * 0.999
        )
    return found


def store(workspace: Workspace, bars: dict[str, pd.DataFrame]) -> None:
    with workspace.warehouse.engine.begin() as connection:
        for statement in _VIEWS:
            connection.execute(text(statement))
        for name in COINS:
            connection.execute(
                text(
                    "insert into ops.series (id, dataset, interval, kind, calendar, publication_lag_s, max_age_s, "
                    "base, quote, source, scored, data_mode) values (:id, 'candles', '1h', 'candles', 'always', 3600, "
                    "7200, :id, 'USDT', 's', true, 'simulated')"
                ),
                {"id": name},
            )
    for name, frame in bars.items():
        append(workspace, name, frame)
        days = from_candles(frame)
        days = days[days["is_origin"]].rename_axis("as_of").reset_index().drop(columns="is_origin")
        columns = [column for column in PANEL_COLUMNS if column in days]
        workspace.warehouse.append_table(
            "features.volatility",
            days[[c for c in columns if c != "series"]].assign(series=name, kind="candles", is_origin=True),
        )


def append(workspace: Workspace, name: str, frame: pd.DataFrame) -> None:
    rows = frame.rename_axis("ts").reset_index()
    rows = rows.assign(
        series=name, interval="1h", available_at=rows["ts"] + HOUR, source="s", provider="p", data_mode="simulated"
    ).reindex(columns=list(COLUMNS[Dataset.CANDLES]))
    workspace.warehouse.append(Dataset.CANDLES, rows, None)


def run(workspace: Workspace, *, calibrate: bool = True) -> pd.DataFrame:
    for asset in (drift_calibrations, drift_alarms) if calibrate else (drift_alarms,):
        assert dg.materialize([asset], resources={"workspace": workspace}, selection=[asset]).success
    return workspace.warehouse.read(f"select * from {ML_DRIFT_ALARMS} order by id")


def louder(bars: pd.DataFrame) -> None:
    bars.iloc[-5 * 24 :, bars.columns.get_loc("r")] *= 3.0


@pytest.fixture
def drifting(workspace: Workspace) -> Workspace:
    store(workspace, coins(louder))
    return workspace


def test_a_coin_that_leaves_its_market_is_found_once(drifting: Workspace) -> None:
    alarms = run(drifting)
    found = alarms[alarms["kind"] == "volatility_unexplained"]
    assert found["subject"].tolist() == ["AAA"]
    (alarm,) = found.to_dict("records")
    assert NOW - timedelta(days=5) < alarm["detected_at"] <= NOW - timedelta(days=3)
    assert alarm["statistic"] > alarm["threshold"]
    assert alarm["evidence"]["explained_by"] == ["peers", "volume"]
    assert alarm["data_mode"] == "simulated"
    assert len(run(drifting)) == len(alarms)  # a second look, and unchanged calibrations, add nothing


def test_calibrations_state_what_they_hold_for_usual(drifting: Workspace) -> None:
    run(drifting)
    rows = drifting.warehouse.read(f"select subject, kind, per_quarter, threshold from {ML_DRIFT_CALIBRATIONS}")
    assert set(rows["kind"]) == {"volatility", "volatility_unexplained", "feed"}  # nothing was forecast: no residuals
    assert len(rows) == len(COINS) * 3
    assert (rows["per_quarter"] > 0).all()
    assert rows.loc[rows["kind"] != "feed", "threshold"].notna().all()


def test_without_calibrations_no_threshold_is_made_up(drifting: Workspace) -> None:
    assert dg.materialize([drift_alarms], resources={"workspace": drifting}, selection=[drift_alarms]).success
    kinds = drifting.warehouse.read(f"select distinct kind from {ML_DRIFT_ALARMS}")["kind"]
    assert set(kinds) <= {"market_anomaly", "data_anomaly", "data"}  # what needs none, or makes its own


def test_a_feed_that_changes_its_scale_is_told_to_the_data_engineer(workspace: Workspace) -> None:
    bars = coins()
    store(workspace, {name: frame.iloc[:-2] for name, frame in bars.items()})
    run(workspace)
    spoiled = bars["AAA"].iloc[-2:].copy()
    spoiled[["open", "high", "low", "close"]] *= 0.01
    append(workspace, "AAA", spoiled)
    alarms = run(workspace, calibrate=False)
    (alarm,) = alarms[alarms["kind"] == "feed_scale"].to_dict("records")
    assert (alarm["subject"], alarm["detected_at"]) == ("AAA", NOW - HOUR)  # when the first of the two was known
    assert alarm["evidence"]["check"] == "step"
    silent = alarms[alarms["kind"] == "feed_stale"]
    assert set(silent["subject"]) == set(COINS)  # at the first look nothing had come for two hours
    assert set(silent["detected_at"]) == {NOW - HOUR}


def test_forecasts_that_became_worse_than_the_plainest_are_found(workspace: Workspace) -> None:
    bars = coins()
    store(workspace, bars)
    days = workspace.warehouse.read(
        "select series, as_of, rv from features.volatility where series = 'BBB' order by as_of"
    )
    days["forecast"] = days["rv"].ewm(alpha=0.06).mean() * np.where(days.index >= len(days) - 16, 6.0, 1.0)
    issued = days.dropna().assign(
        horizon_days=1, issued_at=days["as_of"], model_name="m", model_version="1", rv_forecast=days["forecast"],
        data_mode="simulated",
    )  # fmt: skip
    workspace.warehouse.append_table(ML_PREDICTIONS, issued.drop(columns=["rv", "forecast"]))
    alarms = run(workspace)
    found = alarms[alarms["kind"] == "performance"]
    assert set(found["subject"]) == {"BBB/1d"}
    assert found["evidence"].iloc[-1]["outcomes_open"] == 2  # today's, and yesterday's whose embargo runs
    assert (alarms["kind"] == "residual").any()  # and hour by hour the forecasts promise far too much


def test_the_daily_grids_are_looked_at_once_a_day(drifting: Workspace) -> None:
    said = []
    for _ in range(2):
        done = dg.materialize([drift_alarms], resources={"workspace": drifting}, selection=[drift_alarms])
        (event,) = done.get_asset_materialization_events()
        said.append(event.materialization.metadata["daily_grids"].value)
    assert said == [True, False]


def alarm(kind: DriftKind, at: datetime, statistic: float, check: str) -> Alarm:
    return Alarm("BTC", kind, at, statistic, 1.0, 0.1, at, at, {"check": check})


def test_two_alarms_of_one_moment_are_one_that_lists_the_other() -> None:
    same = [alarm(DriftKind.FEED_SCHEMA, NOW, s, c) for s, c in ((2.0, "null"), (5.0, "size"))]
    other = alarm(DriftKind.FEED_STALE, NOW - HOUR, 2.0, "late")
    found = merged([*same, other])
    assert [a.kind for a in found] == [DriftKind.FEED_STALE, DriftKind.FEED_SCHEMA]
    assert found[1].evidence == {"check": "size", "also": [{"check": "null"}]}


def test_alarms_are_never_changed(workspace: Workspace) -> None:
    row = {
        "subject": "BTC", "kind": "volatility", "detected_at": NOW, "statistic": 2.0, "threshold": 1.0,
        "per_quarter": 0.5, "window_start": NOW, "window_end": NOW, "evidence": {}, "data_mode": "simulated",
    }  # fmt: skip
    assert workspace.warehouse.append_table(ML_DRIFT_ALARMS, [row]) == 1
    assert workspace.warehouse.append_table(ML_DRIFT_ALARMS, [row]) == 0
    with pytest.raises(Exception, match="append-only"):
        workspace.warehouse.execute(f"update {ML_DRIFT_ALARMS} set statistic = 3")
