"""What training and forecasting cost in a workspace that was just played: steps, and latencies of its own champion.

Latency is that of the champion of coins at one day, asked in memory: rows of features in, predictions with their
explanation out. A thousand series are copies of the trained ones under names of their own, fitted state included.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import cycle, islice
from typing import Any

import dagster as dg
import pandas as pd

from models.contracts.market import SeriesKind
from models.validation.ledger import champion_at, model_name
from models.volatility.bundle import HISTORY_DAYS, Bundle, load_bundle
from models.volatility.design import build_design
from models.volatility.members import make
from models.volatility.panel import build_panel
from orchestration.bench.document import Unmeasured
from orchestration.bench.figures import Figure, figure, figures, series
from orchestration.folders import artifacts
from orchestration.panels import training_rows
from orchestration.resources.ledger import read_ledger
from orchestration.resources.model_registry import ModelRegistry
from orchestration.resources.warehouse import Warehouse
from orchestration.settings import Settings
from orchestration.sources.open_market import open_market
from orchestration.standby import version_of

MANY = 1000
KIND, HORIZON_DAYS = SeriesKind.CANDLES, 1
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def measure(settings: Settings, database_url: str, repeats: int) -> dict[str, Any]:
    """Steps of the training, forecast latency for one, the trained and a thousand series, features of one tick.

    Raises Unmeasured where no champion of coins serves.
    """
    warehouse = Warehouse.connect(database_url)
    try:
        bundle = _champion(settings, warehouse)
        specs = [spec for spec in open_market(settings, warehouse).series() if spec.scored]
        rows = training_rows(warehouse, KIND, specs, ())
        hourly = int(warehouse.rows("select count(*) as n from raw.candles where interval = '1h'")[0]["n"])
    finally:
        warehouse.close()
    recent = rows[rows["as_of"] > rows["as_of"].max() - pd.Timedelta(days=HISTORY_DAYS)]
    names = sorted(recent["series"].unique())
    one = recent[recent["series"] == names[0]]
    many, copies = copied(bundle, recent, MANY)
    panel = build_panel(one, KIND)
    return {
        "champion": bundle.champion,
        "series": figure(len(names), "series"),
        "hourly_candles": figure(hourly, "rows"),
        "steps": figures(_steps(), "s"),
        "forecast_of_one_series": _timed(lambda: bundle.predict(one), repeats),
        "forecast_of_the_trained_series": _timed(lambda: bundle.predict(recent), repeats),
        f"forecast_of_{MANY}_series": _timed(lambda: many.predict(copies), 1, warm=True),
        "features_of_one_series": {
            **_timed(lambda: build_design.__wrapped__(panel), repeats),
            "features": figure(len(build_design(panel).names), "features"),
        },
    }


def copied(bundle: Bundle, rows: pd.DataFrame, count: int) -> tuple[Bundle, pd.DataFrame]:
    """A bundle for `count` series and their rows: copies of those it was fitted to, in turns, named `<name>#<n>`."""
    originals = sorted(rows["series"].unique())
    named = {f"{name}#{n}": name for n, name in enumerate(islice(cycle(originals), count))}
    state = bundle.forecaster.state()
    forecaster = make(bundle.champion, bundle.kind, bundle.horizon_days, parts=list(state.get("parts", ())))
    forecaster.restore(_renamed(state, named))
    spikes = None
    if bundle.spikes is not None:
        spikes = type(bundle.spikes)(bundle.kind, bundle.horizon_days)
        spikes.restore(_renamed(bundle.spikes.state(), named))
    laws = {copy: bundle.laws[name] for copy, name in named.items()}
    by_name = dict(iter(rows.groupby("series")))
    grown = pd.concat([by_name[name].assign(series=copy) for copy, name in named.items()], ignore_index=True)
    return replace(bundle, forecaster=forecaster, spikes=spikes, laws=laws), grown


def _renamed(state: Any, named: dict[str, str]) -> Any:
    """Fitted state in which whatever is kept by series is there for each copy as well."""
    if not isinstance(state, dict):
        return state
    found = {key: _renamed(value, named) for key, value in state.items()}
    return found | {copy: found[name] for copy, name in named.items() if name in found}


def _champion(settings: Settings, warehouse: Warehouse) -> Bundle:
    name = model_name(KIND, HORIZON_DAYS)
    with warehouse.transaction() as connection:
        entries = read_ledger(connection, name)
    entry = champion_at(entries, name, max((each.at for each in entries), default=EPOCH))  # on the market's clock
    if entry is None:
        raise Unmeasured(f"no version of {name} was promoted: there is nothing to forecast with")
    tracking = dg.EnvVar("MLFLOW_TRACKING_URI").get_value()
    registry = ModelRegistry(tracking_uri=str(tracking), artifact_root=str(artifacts(settings)))
    return load_bundle(registry.bundle(version_of(entry)))


def _steps() -> dict[str, float]:
    """Seconds of each step of all runs of this workspace, the slowest first."""
    spent: dict[str, float] = defaultdict(float)
    with dg.DagsterInstance.get() as instance:
        for run in instance.get_runs():
            for step in instance.get_run_step_stats(run.run_id):
                if step.start_time is not None and step.end_time is not None:
                    spent[step.step_key] += step.end_time - step.start_time
    return dict(sorted(spent.items(), key=lambda item: -item[1])[:12])


def _timed(call: Callable[[], object], repeats: int, warm: bool = False) -> Figure:
    if not warm:
        call()
    spent = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        spent.append(1000 * (time.perf_counter() - began))
    return series(spent, "ms")
