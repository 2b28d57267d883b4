"""One look of all drift detectors at what has come: hourly streams and feeds each time, daily grids once a market day.

Here: which detector looks at what, and one alarm where two would say the same. The detectors are `models.drift`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from models.contracts.market import Dataset, SeriesKind, SeriesSpec
from models.drift import feed, residuals, volatility
from models.drift.alarms import Alarm, DriftKind
from models.drift.anomalies import FAR, Nature, find_anomalies
from models.drift.volatility import HourlyStream
from orchestration.drift.calibrate import FEED, newest_calibrations
from orchestration.drift.reads import back, hourly_streams, one_day, recent_rows, told, with_peers
from orchestration.resources.warehouse import Warehouse
from orchestration.resources.workspace import Workspace

Calibrations: TypeAlias = Mapping[tuple[str, str], Mapping[str, Any]]  # newest row by subject and kind

# Hours that an alarm may be late: a stopped stack looks back so far when it starts again.
LOOK_BACK_H = 14 * 24
# Odd bars are looked for so far back that their sixty days of usual bars are always the same: see `recent_rows`.
ODD_BACK = timedelta(days=3)
# Odd bars of recorded coins a quarter (2017-2023): two a month at most, most of them shared by the whole market.
ODD_PER_QUARTER = 6.0
_CLOSES_AFTER = timedelta(hours=1)


def watch_streams(workspace: Workspace, now: datetime) -> list[Alarm]:
    """Alarms of volatility, feeds and single bars over the last two weeks; the same moments at every look."""
    warehouse = workspace.warehouse
    specs = [spec for spec in workspace.series() if spec.scored]
    calibrations = newest_calibrations(warehouse)
    raw = {dataset: recent_rows(warehouse, dataset, now) for dataset in (Dataset.CANDLES, Dataset.FX_RATES)}
    found = [
        *_volatility(warehouse, specs, calibrations, now),
        *_feeds(specs, raw, calibrations, now),
        *_odd_bars(specs, raw[Dataset.CANDLES], now),
    ]
    oldest = back(now, LOOK_BACK_H)
    return merged(alarm for alarm in found if oldest < alarm.detected_at <= now)


def merged(alarms: Iterable[Alarm]) -> list[Alarm]:
    """One alarm a subject, kind and moment, in time order: the one furthest over its threshold speaks, and lists what
    else it saw."""
    groups: dict[tuple[str, str, datetime], list[Alarm]] = {}
    for alarm in alarms:
        groups.setdefault((alarm.subject, alarm.kind.value, alarm.detected_at), []).append(alarm)
    found = []
    for same in groups.values():
        first, *others = sorted(same, key=_excess, reverse=True)
        also = [dict(other.evidence) for other in others]
        found.append(first if not also else _with(first, {"also": also}))
    return sorted(found, key=lambda alarm: (alarm.detected_at, alarm.subject, alarm.kind.value))


def as_row(alarm: Alarm, mode: str, run_id: str | None) -> dict[str, Any]:
    """The row of ml.drift_alarms."""
    return {
        "subject": alarm.subject, "kind": alarm.kind.value, "detected_at": alarm.detected_at,
        "statistic": alarm.statistic, "threshold": alarm.threshold, "per_quarter": alarm.per_quarter,
        "window_start": alarm.window_start, "window_end": alarm.window_end, "evidence": dict(alarm.evidence),
        "data_mode": mode, "run_id": run_id,
    }  # fmt: skip


def _excess(alarm: Alarm) -> float:
    return alarm.statistic - alarm.threshold


def _with(alarm: Alarm, more: Mapping[str, object]) -> Alarm:
    return Alarm(
        alarm.subject, alarm.kind, alarm.detected_at, alarm.statistic, alarm.threshold, alarm.per_quarter,
        alarm.window_start, alarm.window_end, {**alarm.evidence, **more},
    )  # fmt: skip


def _volatility(
    warehouse: Warehouse, specs: Sequence[SeriesSpec], calibrations: Calibrations, now: datetime
) -> Iterator[Alarm]:
    hourly = [spec.id for spec in specs if spec.kind is SeriesKind.CANDLES and spec.interval == "1h"]
    if not hourly:
        return
    # The longest block, two weeks to look at, and two before them in which the episode may have begun.
    since = back(now, volatility.HISTORY_H + LOOK_BACK_H + volatility.REARM_H + 2)
    streams = hourly_streams(warehouse, hourly, now, since)
    yield from _residuals(warehouse, streams, calibrations, now)
    for name in streams:
        for kind in (DriftKind.VOLATILITY, DriftKind.VOLATILITY_UNEXPLAINED):
            row = calibrations.get((name, kind.value))
            if row is None:
                continue
            detector = volatility.from_document(row["document"])
            own = with_peers(streams, name, row["document"]["peers"])
            path = volatility.statistic(detector, own)
            for at in volatility.alarms(detector, own).tolist():
                known = own.times[at] + _CLOSES_AFTER
                yield Alarm(
                    name, kind, known.to_pydatetime(), float(path[at]), detector.threshold.value,
                    detector.threshold.per_quarter, (known - timedelta(hours=max(volatility.ONSETS_H))).to_pydatetime(),
                    known.to_pydatetime(), {"explained_by": list(detector.companions), **_levels(own.returns, at)},
                )  # fmt: skip


def _residuals(
    warehouse: Warehouse,
    streams: Mapping[str, HourlyStream],
    calibrations: Calibrations,
    now: datetime,
) -> Iterator[Alarm]:
    """The CUSUM starts with the oldest hour read, sixty days before the two weeks that are looked at: what it would
    have summed before is forgotten by then."""
    issued = told(warehouse, list(streams), now)
    for name, own in streams.items():
        row = calibrations.get((name, DriftKind.RESIDUAL.value))
        if row is None:
            continue
        detector = residuals.from_document(row["document"])
        values = residuals.residuals(own.times, own.returns, one_day(issued, name))
        path = residuals.statistic(detector, own.times, values)
        limit = detector.threshold
        for at in residuals.alarms(detector, own.times, values).tolist():
            known = own.times[at] + _CLOSES_AFTER
            recent = np.abs(values[max(0, at - 119) : at + 1])
            evidence = {"mean_abs_residual_5d": float(f"{np.nanmean(recent):.4g}")}
            yield Alarm(
                name, DriftKind.RESIDUAL, known.to_pydatetime(), float(path[at]), limit.value, limit.per_quarter,
                (known - timedelta(days=5)).to_pydatetime(), known.to_pydatetime(), evidence,
            )  # fmt: skip


def _levels(returns: np.ndarray[Any, Any], at: int) -> dict[str, object]:
    """Mean absolute return of the last five days and of the 55 before them."""
    recent, before = returns[max(0, at - 119) : at + 1], returns[max(0, at - 1439) : max(0, at - 119)]
    return {
        name: float(f"{np.nanmean(np.abs(part)):.4g}") if np.isfinite(part).any() else None
        for name, part in (("mean_abs_return_5d", recent), ("mean_abs_return_before", before))
    }


def _feeds(
    specs: Sequence[SeriesSpec],
    raw: Mapping[Dataset, Mapping[str, pd.DataFrame]],
    calibrations: Calibrations,
    now: datetime,
) -> Iterator[Alarm]:
    for spec in specs:
        row = calibrations.get((spec.id, FEED))
        rows = raw.get(spec.dataset, {}).get(spec.id)
        if row is not None and rows is not None:
            yield from feed.watch_feed(feed.from_document(row["document"]), rows, now)


def _odd_bars(specs: Sequence[SeriesSpec], raw: Mapping[str, pd.DataFrame], now: datetime) -> Iterator[Alarm]:
    bars = {
        spec.id: raw[spec.id].set_index("ts")
        for spec in specs
        if spec.kind is SeriesKind.CANDLES and spec.interval == "1h" and spec.id in raw
    }
    closes = pd.DataFrame({name: frame["close"] for name, frame in bars.items()})
    for name, frame in bars.items():
        for ts, odd in find_anomalies(frame, closes.drop(columns=name)).iterrows():
            if odd["nature"] == Nature.UNCONFIRMED:
                continue
            decided = pd.Timestamp(odd["decided_at"]) + _CLOSES_AFTER
            if decided <= now - ODD_BACK:
                continue
            far = np.nanmax(np.abs([odd["z_return"], odd["z_volume"], 0.0]))
            kind = DriftKind.MARKET_ANOMALY if odd["nature"] == Nature.MARKET else DriftKind.DATA_ANOMALY
            evidence = {
                "reasons": list(odd["reasons"]),
                **{
                    z: None if np.isnan(odd[z]) else round(float(odd[z]), 2)
                    for z in ("z_return", "z_volume", "z_peers")
                },
            }
            start = pd.Timestamp(str(ts)).to_pydatetime()
            yield Alarm(
                name, kind, decided.to_pydatetime(), float(far), FAR, ODD_PER_QUARTER, start,
                decided.to_pydatetime(), evidence,
            )  # fmt: skip
