"""Calibrations of the drift detectors: what is usual for each series, from all of its believed history.

Part of the training job: it costs seconds, changes slowly, and belongs to the same history as the models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from models.contracts.market import SeriesSpec
from models.contracts.tables import ML_DRIFT_CALIBRATIONS
from models.drift import feed, residuals, volatility
from models.drift.alarms import DriftKind, NotEnoughHistory
from models.drift.volatility import HourlyStream
from models.stress.streams import stream
from orchestration.drift.reads import believed_history, hourly_ids, hourly_streams, one_day, peers_of, told, with_peers
from orchestration.resources.warehouse import Warehouse
from orchestration.resources.workspace import Workspace

FEED = "feed"
# False alarms a quarter to state: one in all for the volatility of a stream.
PER_QUARTER = {DriftKind.VOLATILITY: 0.5, DriftKind.VOLATILITY_UNEXPLAINED: 0.5}
RESIDUAL_PER_QUARTER = 1.0
FEED_PER_QUARTER = 1.0

Row = dict[str, Any]


def calibrate_all(workspace: Workspace, run_id: str) -> tuple[list[Row], list[str]]:
    """New rows of ml.drift_calibrations, and what could not be calibrated, in words.

    A subject whose newest calibration rests on the same newest row is left out: nothing new is there to learn.
    """
    now, warehouse = workspace.now(), workspace.warehouse
    scored = [spec for spec in workspace.series() if spec.scored]
    known = _history_ends(warehouse)
    rows: list[Row] = []
    refused: list[str] = []
    for subject, kind, start, end, make in _works(workspace, scored, now):
        if known.get((subject, kind)) == end:
            continue
        try:
            document, threshold, per_quarter = make()
        except NotEnoughHistory as why:
            refused.append(f"{subject}, {kind}: {why}")
            continue
        rows.append(
            {
                "subject": subject, "kind": kind, "calibrated_at": now, "history_start": start, "history_end": end,
                "per_quarter": per_quarter, "threshold": threshold, "document": document,
                "data_mode": workspace.mode.value, "run_id": run_id,
            }
        )  # fmt: skip
    return rows, refused


def newest_calibrations(warehouse: Warehouse) -> dict[tuple[str, str], dict[str, Any]]:
    """The calibration in force by subject and kind, as a row."""
    rows = warehouse.rows(
        f"select distinct on (subject, kind) subject, kind, per_quarter, threshold, document "
        f"from {ML_DRIFT_CALIBRATIONS} order by subject, kind, history_end desc, id desc"
    )
    return {(row["subject"], row["kind"]): row for row in rows}


Made = tuple[dict[str, Any], float | None, float]
Work = tuple[str, str, datetime, datetime, Callable[[], Made]]


def _works(workspace: Workspace, specs: Sequence[SeriesSpec], now: datetime) -> Iterator[Work]:
    warehouse, seed = workspace.warehouse, workspace.settings.seed
    hourly = hourly_ids(specs)
    streams = hourly_streams(warehouse, hourly, now) if hourly else {}
    for name, own in streams.items():
        peers = peers_of(streams, name)
        start, end = own.times[0].to_pydatetime(), own.times[-1].to_pydatetime()
        for kind, rate in PER_QUARTER.items():
            explained = kind is DriftKind.VOLATILITY_UNEXPLAINED
            used = peers if explained else []
            rng = stream(seed, f"drift/{kind.value}/{name}", 0)
            yield name, kind.value, start, end, _volatility(with_peers(streams, name, used), used, rate, rng, explained)
    issued = told(warehouse, list(streams), now) if streams else None
    for name, own in streams.items():
        if issued is not None:
            rng = stream(seed, f"drift/{DriftKind.RESIDUAL.value}/{name}", 0)
            start, end = own.times[0].to_pydatetime(), own.times[-1].to_pydatetime()
            yield name, DriftKind.RESIDUAL.value, start, end, _residual(own, one_day(issued, name), rng)
    for spec in specs:
        rows = believed_history(warehouse, spec, now)
        if rows.empty:
            continue
        rng = stream(seed, f"drift/{FEED}/{spec.id}", 0)
        start, end = rows["ts"].iloc[0].to_pydatetime(), rows["ts"].iloc[-1].to_pydatetime()

        def of_feed(spec: SeriesSpec = spec, rows: Any = rows, rng: np.random.Generator = rng) -> Made:
            rules = feed.fit_feed(spec.id, rows, spec.calendar, FEED_PER_QUARTER, rng)
            return feed.as_document(rules), None, FEED_PER_QUARTER

        yield spec.id, FEED, start, end, of_feed


def _residual(history: HourlyStream, issued: pd.DataFrame, rng: np.random.Generator) -> Callable[[], Made]:
    def made() -> Made:
        values = residuals.residuals(history.times, history.returns, issued)
        detector = residuals.fit(history.times, values, RESIDUAL_PER_QUARTER, rng)
        return residuals.as_document(detector), detector.threshold.value, detector.threshold.per_quarter

    return made


def _volatility(
    history: HourlyStream, peers: Sequence[str], rate: float, rng: np.random.Generator, explained: bool
) -> Callable[[], Made]:
    def made() -> Made:
        detector = volatility.fit(history, rate, rng, explained=explained)
        document = {**volatility.as_document(detector), "peers": list(peers)}
        return document, detector.threshold.value, detector.threshold.per_quarter

    return made


def _history_ends(warehouse: Warehouse) -> dict[tuple[str, str], datetime]:
    rows = warehouse.rows(
        f"select subject, kind, max(history_end) as history_end from {ML_DRIFT_CALIBRATIONS} group by subject, kind"
    )
    return {(row["subject"], row["kind"]): row["history_end"] for row in rows}
