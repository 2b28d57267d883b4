"""Flags on raw rows: contradictions that are kept and used, but marked; the impossible is held. One entry a row and
reason.

What the blocking checks of the raw tables refuse and a source can deliver is marked here first: a single odd row of one
series must not stop the others.
Here: which rows to look at and what to write. The tests on values are pure (`models.timeseries.bar_checks`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.contracts.market import DataMode, Dataset
from models.contracts.tables import RAW_CANDLES, RAW_FUNDING, RAW_FX_RATES
from models.timeseries.bar_checks import (
    absurd_adverts,
    check_bars,
    conflicting,
    crossed_quotes,
    impossible_funding,
    still_forming,
    wide_ranges,
)
from models.timeseries.calendars import interval_length
from models.timeseries.limits import DEFAULT_LIMITS, QualityLimits
from orchestration.quality.marks import read_mark, readable_seq, write_mark
from orchestration.resources.warehouse import Warehouse
from orchestration.resources.warehouse_records import QuarantineEntry

_TASK = "flag_rows"
_KEY = ["series", "interval", "ts"]
_STOPPED_INTERVALS = 24  # bars behind its peers after which a recording has stopped rather than being late ...
_ENDED_INTERVALS = 7 * 24  # ... and after which it ended in its own time: nothing says that it was cut off

_NOT_BELIEVED = ("impossible_funding",)  # a number that would be wrong by itself, whatever stands beside it

_SAID = {
    "crossed_range": "high {high} is below low {low}",
    "close_outside_range": "close {close} is outside {low} to {high}",
    "open_outside_range": "open {open} is outside {low} to {high}",
    "zero_volume": "nothing was traded",
    "flat_bar": "one price {close} all through the bar, volume {volume_base}",
    "wide_range": "high {high} is far above low {low} for one day",
    "still_forming": "known at {available_at}, before the bar closed",
    "last_bar_may_be_forming": "the recording stops here while others go on: the bar may not have closed",
    "conflicting_duplicate": "the source gives this time twice with different values",
    "crossed_quote": "bid {bid} is above ask {ask}",
    "impossible_funding": "a payment of {funding_rate} of the position",
    "absurd_low_advert": "lowest advert {low} against a median of {rate}",
    "absurd_high_advert": "highest advert {high} against a median of {rate}",
}


def flag_rows(
    warehouse: Warehouse,
    now: datetime,
    run_id: str | None,
    *,
    full: bool = False,
    limits: QualityLimits = DEFAULT_LIMITS,
) -> dict[str, int]:
    """Flag rows stored since the last run (all rows with `full`); number of new flags by reason, 0 the second time."""
    added: dict[str, int] = {}
    for dataset, flags in _FLAGS.items():
        mark = 0 if full else read_mark(warehouse, _TASK, dataset)
        upto = readable_seq(warehouse, dataset, mark, now)
        if upto <= mark:
            continue
        for reason, rows in flags(warehouse, mark, now, limits):
            entries = [_entry(dataset, reason, row) for row in rows.to_dict("records")]
            new = warehouse.quarantine(entries, run_id)
            if new:
                added[reason] = added.get(reason, 0) + new
        write_mark(warehouse, _TASK, dataset, upto)
    return added


def _candle_flags(
    warehouse: Warehouse, mark: int, now: datetime, limits: QualityLimits
) -> Iterator[tuple[str, pd.DataFrame]]:
    bars = warehouse.read(
        f"select series, interval, ts, open, high, low, close, volume_base, available_at, digest::text as digest, "
        f"data_mode from {RAW_CANDLES} where seq > :mark and available_at <= :now",
        {"mark": mark, "now": now},
    )
    yield from _chosen(bars, check_bars(bars, limits))
    for interval, rows in bars.groupby("interval", observed=True):
        length = interval_length(str(interval))
        if length is not None:
            yield from _chosen(rows, {"still_forming": still_forming(rows["ts"], rows["available_at"], length)})
    yield from _chosen(bars, {"last_bar_may_be_forming": _stopped(warehouse, bars)})
    yield from _chosen_conflicts(warehouse, RAW_CANDLES, mark, now, "close")


def _rate_flags(
    warehouse: Warehouse, mark: int, now: datetime, limits: QualityLimits
) -> Iterator[tuple[str, pd.DataFrame]]:
    rates = warehouse.read(
        "select series, interval, ts, kind, rate, open, high, low, bid, ask, rate as close, available_at, "
        f"digest::text as digest, data_mode from {RAW_FX_RATES} where seq > :mark and available_at <= :now "
        "and ((high is not null and low is not null) or bid > ask)",
        {"mark": mark, "now": now},
    )
    street = rates["kind"] == "street"
    yield from _chosen(rates, {"crossed_range": check_bars(rates, limits)["crossed_range"]})
    yield from _chosen(rates, {"crossed_quote": crossed_quotes(rates)})
    bars = rates[~street & rates["open"].notna()]
    masks = check_bars(bars, limits)
    yield from _chosen(bars, {name: masks[name] for name in ("close_outside_range", "open_outside_range")})
    daily = bars[bars["interval"] == "1d"]
    yield from _chosen(daily, {"wide_range": wide_ranges(daily, limits)})
    yield from _chosen(rates[street], absurd_adverts(rates[street], limits))
    yield from _chosen_conflicts(warehouse, RAW_FX_RATES, mark, now, "rate")


def _funding_flags(
    warehouse: Warehouse, mark: int, now: datetime, limits: QualityLimits
) -> Iterator[tuple[str, pd.DataFrame]]:
    rates = warehouse.read(
        "select series, interval, ts, funding_rate, funding_rate as rate, available_at, digest::text as digest, "
        f"data_mode from {RAW_FUNDING} where seq > :mark and available_at <= :now",
        {"mark": mark, "now": now},
    )
    yield from _chosen(rates, {"impossible_funding": impossible_funding(rates, limits)})


_FLAGS = {Dataset.CANDLES: _candle_flags, Dataset.FX_RATES: _rate_flags, Dataset.FUNDING: _funding_flags}


def _chosen(rows: pd.DataFrame, masks: Mapping[str, NDArray[np.bool_]]) -> Iterator[tuple[str, pd.DataFrame]]:
    for reason, mask in masks.items():
        if mask.any():
            yield reason, rows[mask]


def _chosen_conflicts(
    warehouse: Warehouse, table: str, mark: int, now: datetime, value: str
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Two values that became known at the same moment: no correction, the source contradicts itself."""
    rows = warehouse.read(
        f"""
        with repeated as (
            select r.series, r.interval, r.ts, r.available_at
            from (select distinct series, interval, ts from {table} where seq > :mark) as touched
            join {table} as r using (series, interval, ts)
            where r.available_at <= :now
            group by r.series, r.interval, r.ts, r.available_at having count(*) > 1
        )
        select r.series, r.interval, r.ts, r.available_at, r.digest::text as digest, r.data_mode, r.{value} as value
        from {table} as r join repeated using (series, interval, ts, available_at)
        """,
        {"mark": mark, "now": now},
    )
    if len(rows):
        yield "conflicting_duplicate", rows[conflicting(rows, [*_KEY, "available_at"], "value")]


def _stopped(warehouse: Warehouse, bars: pd.DataFrame) -> NDArray[np.bool_]:
    """Last bars of recordings that stop shortly before the others of their folder do (replayed data only)."""
    mask = np.zeros(len(bars), dtype=bool)
    played = bars[bars["data_mode"] == DataMode.REPLAY.value]
    if played.empty:  # of no text there are no parts
        return mask
    folder = played["series"].str.partition(":")[2]  # BTC and ETH are of one recording, BTC:perp is of another
    for (interval, _), rows in played.groupby(["interval", folder], observed=True):
        length = interval_length(str(interval))
        newest = rows.groupby("series", observed=True)["ts"].max()
        if length is None:
            continue
        behind = newest.max() - newest
        stopped = newest[behind.between(length * _STOPPED_INTERVALS, length * _ENDED_INTERVALS)]
        for series, ts in stopped.items():
            later = warehouse.watermark(Dataset.CANDLES, str(series), str(interval))
            if later is not None and pd.Timestamp(later) == ts:
                same = (bars["series"] == series) & (bars["interval"] == interval) & (bars["ts"] == ts)
                mask |= same.to_numpy(dtype=bool)
    return mask


def _entry(dataset: Dataset, reason: str, row: Mapping[Hashable, Any]) -> QuarantineEntry:
    value = row.get("close", row.get("rate", row.get("value")))
    return QuarantineEntry(
        dataset=dataset,
        series=row["series"],
        action="hold" if reason in _NOT_BELIEVED else "flag",
        reason=reason,
        detail=_SAID[reason].format_map({str(name): field for name, field in row.items()}),
        known_at=row["available_at"].to_pydatetime(),
        data_mode=DataMode(row["data_mode"]),
        interval=row["interval"],
        ts=row["ts"].to_pydatetime(),
        digest=row["digest"],
        value=f"{value:.10g}",
    )
