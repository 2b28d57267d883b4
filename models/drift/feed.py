"""Feed drift: a stream that changes its scale, stands still, comes late, or changes its fields.

Every check is a path over the rows of one series: how far the price stepped without a deal, for how many rows
nothing changed, how long a field has been null. Thresholds are those of the series' own history, so that a currency
that somebody manages may stand still for a week and a coin for no bar. The checks share the stated false alarms.

Not here: single odd rows (`models.timeseries.bar_checks`), prints that are held until others confirm them
(`models.timeseries.quarantine`), market against data (`models.drift.anomalies`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.contracts.market import Calendar
from models.drift.alarms import Alarm, DriftKind, NotEnoughHistory
from models.drift.thresholds import DAYS_A_QUARTER, Threshold, calibrate, daily_maxima, episodes
from models.timeseries.calendars import closed_days
from models.timeseries.limits import DEFAULT_LIMITS

FloatArray = NDArray[np.float64]

PRICES = ("open", "high", "low", "close", "rate")
USUAL_ROWS = 168  # a size is compared with the median of a week of hourly rows
REARM_DAYS = 2
MEAN_BLOCK_DAYS = 10.0
LATE_ROWS = 1.5  # half a bar late is a slow answer; by the second missing bar it is more
# Coins deal around the clock: an open stands where the last close stood. Two per cent without a deal is no move.
STEP_FLOOR = 0.02
STILL_FLOOR = 1.0  # one bar may close where the last one did; two in a row that do not move at all may not
SIGNED_ROWS = 500  # rows of one sign that make a rule of it
_MIN_ROWS = 100
_RHYTHM = 0.99  # share of gaps that are the usual rhythm
_RESAMPLES = 60  # ten checks a series share the work
_CONFIDENCE = 0.5  # and the alarms: a tenth of one a quarter leaves no room for nine tenths of certainty
_EMPTY = 0.5  # a field that is null in half of the rows or more is none that the source promises


@dataclass(frozen=True, slots=True)
class FeedRule:
    """One check of one column: an alarm while its path is above the limit."""

    kind: DriftKind
    check: str
    column: str
    limit: Threshold


@dataclass(frozen=True, slots=True)
class FeedRules:
    """What is usual for one series. `usual_gap_s`: seconds between publications; `signs`: columns of one sign."""

    subject: str
    calendar: Calendar
    usual_gap_s: float
    rules: tuple[FeedRule, ...]
    signs: Mapping[str, int]


def fit_feed(
    subject: str, history: pd.DataFrame, calendar: Calendar, per_quarter: float, rng: np.random.Generator
) -> FeedRules:
    """Rules from the history of one series.

    Parameters
    ----------
    history
        Rows in time order: `ts`, `available_at` (aware UTC), prices (`open, high, low, close` or `rate`) and any other
        number that the source gives, NaN = null.
    per_quarter
        False alarms of all checks of the series together.

    Raises
    ------
    NotEnoughHistory
        Under 100 rows or two quarters.
    """
    if len(history) < _MIN_ROWS:
        raise NotEnoughHistory(f"{subject}: {len(history)} rows are there, {_MIN_ROWS} are needed")
    times = pd.DatetimeIndex(history["available_at"])
    gap_s = float(np.median(_gaps(history, calendar)))
    columns = [name for name in history if name not in ("ts", "available_at")]
    given = [str(name) for name in columns if history[name].isna().mean() < _EMPTY]
    if not set(given) & {"close", "rate"}:
        raise NotEnoughHistory(f"{subject}: neither close nor rate is given in half of the rows")
    paths = _paths(history, given, calendar, gap_s)
    rows_a_day = max(1, round(86_400 / gap_s))
    limits = {
        key: _limit(path, key, rows_a_day, times, per_quarter / len(paths), rng, bars=_deals_on(given, calendar))
        for key, path in paths.items()
    }
    signs = {
        name: int(np.sign(values.iloc[0]))
        for name in given
        if len(values := history.loc[history[name].ne(0), name].dropna()) >= SIGNED_ROWS and _one_sign(values)
    }
    rules = tuple(FeedRule(_KINDS[check], check, column, limit) for (check, column), limit in limits.items())
    return FeedRules(subject, calendar, gap_s, rules, signs)


def watch_feed(rules: FeedRules, recent: pd.DataFrame, now: datetime) -> list[Alarm]:
    """Alarms of the recent rows, in time order: the first row of each episode, of all checks.

    `recent` begins at least a week of hourly rows (168) and two days before the rows of interest; episodes whose
    start lies in the first two days are not reported, they may be older than the window. A field that is missing
    altogether counts as null. `now`: what the age of the newest row is measured by.
    """
    if recent.empty:
        return []
    given = sorted({rule.column for rule in rules.rules if rule.column} | set(rules.signs))
    complete = recent.reindex(columns=["ts", "available_at", *given])
    paths = _paths(complete, given, rules.calendar, rules.usual_gap_s)
    known = pd.DatetimeIndex(complete["available_at"])
    rearm = REARM_DAYS * max(1, round(86_400 / rules.usual_gap_s))
    verified = known[0] + pd.Timedelta(days=REARM_DAYS)
    found = []
    for rule in rules.rules:
        path = paths[rule.check, rule.column]
        for row in episodes(path, rule.limit.value, rearm).tolist():
            if known[row] >= verified:
                found.append(_alarm(rules.subject, rule, complete, row, float(path[row])))
    found += [alarm for alarm in _turned(rules, complete, rearm) if alarm.detected_at >= verified]
    found += _late_now(rules, complete, now)
    return sorted(found, key=lambda alarm: (alarm.detected_at, alarm.kind, str(alarm.evidence["check"])))


def as_document(rules: FeedRules) -> dict[str, object]:
    """JSON-able form; `from_document` gives the same rules back."""
    listed = [
        [r.kind.value, r.check, r.column, r.limit.value, r.limit.per_quarter, r.limit.observed, r.limit.quarters]
        for r in rules.rules
    ]
    return {
        "subject": rules.subject, "calendar": rules.calendar.value, "usual_gap_s": rules.usual_gap_s, "rules": listed,
        "signs": dict(rules.signs),
    }  # fmt: skip


def from_document(document: Mapping[str, Any]) -> FeedRules:
    """Raises KeyError for a document that is none."""
    rules = tuple(
        FeedRule(DriftKind(kind), check, column, Threshold(*limit)) for kind, check, column, *limit in document["rules"]
    )
    return FeedRules(
        document["subject"], Calendar(document["calendar"]), document["usual_gap_s"], rules, dict(document["signs"])
    )


_KINDS = {
    "step": DriftKind.FEED_SCALE,
    "size": DriftKind.FEED_SCHEMA,  # a unit of volume or of a payment that changed
    "still": DriftKind.FEED_STALE,
    "late": DriftKind.FEED_STALE,
    "null": DriftKind.FEED_SCHEMA,
}


def _paths(
    rows: pd.DataFrame, given: Sequence[str], calendar: Calendar, gap_s: float
) -> dict[tuple[str, str], FloatArray]:
    prices = [name for name in PRICES if name in given]
    value = "close" if "close" in given else "rate"
    gaps = _gaps(rows, calendar) / gap_s
    found = {
        ("step", value): _steps(rows, value, gaps, _deals_on(given, calendar)),
        ("still", value): _still(rows[prices]),
        ("late", ""): np.concatenate([[np.nan], gaps]),
    }
    for name in given:
        found["null", name] = _run_lengths(rows[name].isna().to_numpy())
        if name not in PRICES:
            found["size", name] = _sizes(rows[name].to_numpy(dtype=float))
    return found


def _deals_on(given: Sequence[str], calendar: Calendar) -> bool:
    """Whether the next bar opens where the last one closed: bars of a market that never closes."""
    return "open" in given and calendar is Calendar.ALWAYS


def _steps(rows: pd.DataFrame, value: str, gaps: FloatArray, bars: bool) -> FloatArray:
    """(n,) |log step| from the last price to the next one that could follow it, by the root of the rows between."""
    close = rows[value].ffill().to_numpy(dtype=float)
    start = (rows["open"].fillna(rows[value]) if bars else rows[value]).to_numpy(dtype=float)
    step = np.full(len(rows), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        step[1:] = np.abs(np.log(start[1:] / close[:-1])) / np.sqrt(np.maximum(gaps, 1.0))
    return np.where(np.isfinite(step), step, np.nan)


def _still(prices: pd.DataFrame) -> FloatArray:
    """(n,) rows in a run on which the price stood still: all prices of the row before again, or one price all through
    that is its close. A price that is null did not stand still."""
    values = prices.to_numpy(dtype=float)
    same = np.zeros(len(values), dtype=bool)
    same[1:] = (values[1:] == values[:-1]).all(axis=1)
    if {"high", "low", "close"} <= set(prices):
        close = prices["close"].to_numpy(dtype=float)
        flat = prices["high"].to_numpy(dtype=float) == prices["low"].to_numpy(dtype=float)
        same[1:] |= flat[1:] & (close[1:] == close[:-1])
    return _run_lengths(same)


def _sizes(values: FloatArray) -> FloatArray:
    """(n,) smaller of the last two |log| distances of the size from its median over the week before: two rows in a
    row, because one may be anything."""
    size = pd.Series(np.abs(values)).replace(0.0, np.nan)
    usual = size.rolling(USUAL_ROWS, min_periods=USUAL_ROWS // 4).median().shift(2)
    distance = pd.Series(np.log(size / usual)).abs()
    return np.asarray(distance.rolling(2, min_periods=2).min().to_numpy(dtype=float))


def _run_lengths(mask: NDArray[np.bool_]) -> FloatArray:
    """(n,) how many rows of a run have come by each row, 0 outside runs."""
    total = np.cumsum(mask)
    broken = np.maximum.accumulate(np.where(mask, 0, total))
    return np.asarray(np.where(mask, total - broken, 0), dtype=float)


def _gaps(rows: pd.DataFrame, calendar: Calendar) -> FloatArray:
    """(n - 1,) seconds between publications; closed days do not count, and which those are the days quoted say: a
    Friday's rate that is known on Saturday is followed by Monday's, known on Tuesday."""
    if len(rows) < 2:
        return np.empty(0)
    seconds = np.diff(pd.DatetimeIndex(rows["available_at"]).as_unit("us").asi8) / 1e6
    if calendar is not Calendar.ALWAYS:
        seconds = seconds - closed_days(pd.DatetimeIndex(rows["ts"]), calendar) * 86_400.0
    return np.asarray(np.maximum(seconds, 0.0))


def _limit(
    path: FloatArray, key: tuple[str, str], rows_a_day: int, times: pd.DatetimeIndex, per_quarter: float,
    rng: np.random.Generator, bars: bool,
) -> Threshold:  # fmt: skip
    """Calibrated on days, and never below what no honest feed is blamed for."""
    days = daily_maxima(path, rows_a_day)
    span_days = max((times[-1] - times[0]) / pd.Timedelta(days=1), 1.0)
    a_quarter = len(days) / span_days * DAYS_A_QUARTER
    limit = calibrate(
        days, a_quarter, per_quarter, REARM_DAYS, MEAN_BLOCK_DAYS, rng, resamples=_RESAMPLES, confidence=_CONFIDENCE
    )
    if key[0] == "late":
        # Outages of the past are what is looked for, not what is usual: the rhythm is that of the other rows.
        usual = max(LATE_ROWS, float(np.nanquantile(path, _RHYTHM)) + LATE_ROWS - 1.0)
        seen = len(episodes(days, usual, REARM_DAYS)) / limit.quarters
        return Threshold(usual, max(seen, 1.0 / limit.quarters), seen, limit.quarters)
    floors = {
        "step": STEP_FLOOR if bars else DEFAULT_LIMITS.scale_log_distance,
        "size": DEFAULT_LIMITS.scale_log_distance,
        "still": STILL_FLOOR if bars else 0.0,
    }
    return Threshold(max(limit.value, floors.get(key[0], 0.0)), limit.per_quarter, limit.observed, limit.quarters)


def _one_sign(values: pd.Series) -> bool:
    return bool((values > 0).all() or (values < 0).all())


def _turned(rules: FeedRules, rows: pd.DataFrame, rearm: int) -> list[Alarm]:
    """Columns that always had one sign and now have the other; this never happened before, so its limit is zero."""
    found = []
    for name, sign in rules.signs.items():
        wrong = (rows[name].to_numpy(dtype=float) * sign < 0).astype(float)
        rule = FeedRule(DriftKind.FEED_SCHEMA, "sign", name, Threshold(0.0, rules.rules[0].limit.per_quarter, 0.0, 0.0))
        found += [_alarm(rules.subject, rule, rows, row, 1.0) for row in episodes(wrong, 0.0, rearm).tolist()]
    return found


def _late_now(rules: FeedRules, rows: pd.DataFrame, now: datetime) -> list[Alarm]:
    """The row that should have come by now. Dated by the moment at which it was due, so that a second look at the
    same silence is the same alarm."""
    rule = next(rule for rule in rules.rules if rule.check == "late")
    newest = rows[["ts", "available_at"]].iloc[-1]
    last, lag = newest["available_at"], newest["available_at"] - newest["ts"]
    # A row that came now would be of a moment that lies as far back as the last one did when it came.
    coming = pd.DataFrame({"ts": [newest["ts"], pd.Timestamp(now) - lag], "available_at": [last, pd.Timestamp(now)]})
    gap = float(_gaps(coming, rules.calendar)[0]) / rules.usual_gap_s
    if not gap > rule.limit.value:
        return []
    due = last + pd.Timedelta(seconds=rules.usual_gap_s)
    evidence = {"check": "late", "column": "", "last_known": last.isoformat()}
    return [
        Alarm(
            rules.subject, rule.kind, due.to_pydatetime(), gap, rule.limit.value, rule.limit.per_quarter,
            last.to_pydatetime(), now, evidence,
        )
    ]  # fmt: skip


def _alarm(subject: str, rule: FeedRule, rows: pd.DataFrame, row: int, statistic: float) -> Alarm:
    before = max(0, row - 1)
    evidence: dict[str, object] = {"check": rule.check, "column": rule.column}
    if rule.column:
        last = rows[rule.column].iloc[:row].dropna()
        new = rows[rule.column].iloc[row]
        evidence["before"] = None if last.empty else float(last.iloc[-1])
        evidence["now"] = None if pd.isna(new) else float(new)
    return Alarm(
        subject, rule.kind, rows["available_at"].iloc[row].to_pydatetime(), statistic, rule.limit.value,
        rule.limit.per_quarter, rows["ts"].iloc[before].to_pydatetime(), rows["ts"].iloc[row].to_pydatetime(), evidence,
    )  # fmt: skip
