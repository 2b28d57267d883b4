"""Regimes of one series at each of its origins, as they could be said on that day.

Parameters are fitted again at the refit step of pools, on rows up to that day, and are frozen in between; the day
is labelled by the parameters in force, run over the whole history up to that day. So a label depends on what was
known and on nothing later. Rows that cannot be labelled say why.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.contracts.horizons import Protocol
from models.contracts.market import SeriesKind
from models.contracts.running import IN_TURN, Runner
from models.contracts.score import ScoreStatus
from models.regimes.chain import METHOD_VERSION, MIN_OBSERVED, Chain, fit_chain
from models.regimes.changepoints import changepoints
from models.regimes.hysteresis import settle
from models.regimes.rule import RULE_VERSION, rank_in_year, rule_labels, weeks_needed, weeks_there
from models.regimes.sample import MIN_DAYS, days_in_each, shortage
from models.regimes.states import NO_STATE, VOLATILITY_REGIMES, Method
from models.regimes.trend import trend_of, trend_strength
from models.volatility.outcomes import managed
from models.volatility.panel import Grid, Panel, TimeArray
from models.volatility.targets import first_fit, spans

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

NO_VERSION = f"{METHOD_VERSION}-none"  # of the chain, on days before its first fit
VERSIONS = {Method.HMM: METHOD_VERSION, Method.RULE: RULE_VERSION}  # with what a `model_version` begins
COLUMNS = (
    "series", "as_of", "method", "status", "reasons", "label", "p_calm", "p_normal", "p_stressed", "trend",
    "trend_strength", "changepoint", "level_age", "required", "received", "model_version",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FittedChain:
    """A chain, the origin whose close was the last it saw, and its name."""

    fitted_at: np.datetime64
    version: str
    chain: Chain


@dataclass(frozen=True, slots=True)
class _Told:
    """One method's word on each day: `label` (n,) positions, `p` (n, 3), `days` (n, 3) seen in each regime so far,
    `doubtful` (n,), `version` (n,); `needed` (n,) and `there` (n,) count what a day without any label lacks."""

    label: IntArray
    p: FloatArray
    days: IntArray
    doubtful: BoolArray
    version: list[str]
    needed: IntArray
    there: IntArray
    what: str


def observed(grid: Grid, kind: SeriesKind) -> FloatArray:
    """(n,) ln variance a day; NaN where it is missing, where the print is held, and where the rate is managed: a rate
    that is kept still is not calm."""
    unbelieved = managed(grid, kind) | (grid.columns["is_held"] == 1.0)
    return np.where(unbelieved, np.nan, np.log(grid.rv))


def chains_until_now(
    log_variance: FloatArray, as_of: TimeArray, protocol: Protocol, known: Sequence[FittedChain] = ()
) -> list[FittedChain]:
    """Chains in force over a series, oldest first: those that are `known`, and a new one whenever a refit is due.

    Parameters
    ----------
    log_variance : (n,), NaN = missing
    as_of : (n,) closes of the days
    known : fits of earlier calls; they are kept as they are, whatever has become of the data since
    """
    chains = sorted(known, key=lambda fitted: fitted.fitted_at)
    due = first_fit(protocol)
    if chains:
        due = int(np.searchsorted(as_of, chains[-1].fitted_at)) + protocol.pool_refit_step
    for row in range(due, len(log_variance), protocol.pool_refit_step):
        chain = fit_chain(log_variance[: row + 1])
        if chain is not None:
            chains.append(FittedChain(as_of[row], chain.version(as_of[row]), chain))
    return chains


def regimes_of(
    grid: Grid,
    kind: SeriesKind,
    protocol: Protocol,
    chains: Sequence[FittedChain],
    since: np.datetime64 | None = None,
) -> pd.DataFrame:
    """Rows of both methods for the origins of a series.

    Parameters
    ----------
    chains : from `chains_until_now`; a day before the first has no label by the chain
    since : only origins after this moment, the same rows as without it; None = all

    Returns
    -------
    Columns `COLUMNS`, in the order (method, as_of). `label` is None unless `status` is ok or degraded; `p_*` belong to
    the chain alone. `trend` and `changepoint` (probability that the level changed within the last week of the series'
    calendar), `level_age` (expected days since it did) stand on their own and may be there without a label. `required`,
    `received`: days in the rarest regime, or before there is any label, where that is what is lacking.
    """
    x = observed(grid, kind)
    first = 0 if since is None else int(np.searchsorted(grid.as_of, since, side="right"))
    _, week, month = protocol.har_lags
    change, strength = changepoints(x, week), trend_strength(grid.ret, grid.har[:, 2], month)
    new = slice(first, None)
    shared = {
        "series": grid.series,
        "as_of": pd.DatetimeIndex(grid.as_of[new]).tz_localize("UTC"),
        "trend": [trend_of(float(value)) for value in strength[new]],
        "trend_strength": strength[new],
        "changepoint": change.recent[new],
        "level_age": change.age[new],
    }
    told = {Method.HMM: _by_chain(x, grid.as_of, chains, protocol, first), Method.RULE: _by_rule(x, protocol)}
    why = _why_silent(grid, kind)
    frames = [
        pd.DataFrame({**shared, "method": method.value, **_judged(why, np.isnan(x), word, first)})
        for method, word in told.items()
    ]
    return pd.concat(frames, ignore_index=True)[list(COLUMNS)]


def known_regimes(panel: Panel, run: Runner = IN_TURN) -> pd.DataFrame:
    """`series`, `as_of`, `regime` (label of the chain, None without one) of every origin of a panel, as it could be
    said then: what an evaluation is looked at by. Series keep the order of the panel, however they are shared out."""
    shares = np.array_split(list(panel.grids), min(run.workers, len(panel.grids)))
    return pd.concat(run([partial(_known_regimes, panel.only(*share.tolist())) for share in shares]), ignore_index=True)


def _known_regimes(panel: Panel) -> pd.DataFrame:
    found = []
    for grid in panel.grids.values():
        chains = chains_until_now(observed(grid, panel.kind), grid.as_of, panel.protocol)
        rows = regimes_of(grid, panel.kind, panel.protocol, chains)
        found.append(rows.loc[rows["method"] == Method.HMM.value, ["series", "as_of", "label"]])
    return pd.concat(found, ignore_index=True).rename(columns={"label": "regime"})


def _by_chain(x: FloatArray, as_of: TimeArray, chains: Sequence[FittedChain], protocol: Protocol, first: int) -> _Told:
    """Rows before `first` stay empty: nobody asked, and each version costs a pass over the history."""
    n, k = len(x), len(VOLATILITY_REGIMES)
    label, p, days = np.full(n, NO_STATE), np.full((n, k), np.nan), np.zeros((n, k), dtype=np.int64)
    doubtful, version = np.zeros(n, dtype=bool), [NO_VERSION] * n
    starts = [int(np.searchsorted(as_of, fitted.fitted_at)) for fitted in chains]
    for fitted, (start, stop) in zip(chains, spans(starts, n), strict=True):
        if stop <= first:
            continue
        past = x[:stop]
        probabilities = fitted.chain.filtered(past)
        settled, unsure = settle(probabilities)
        here = slice(start, stop)
        p[here], label[here], doubtful[here] = probabilities[here], settled[here], unsure[here]
        days[here] = days_in_each(settled, np.isfinite(past))[here]
        version[here] = [fitted.version] * (stop - start)
    # What a first fit waits for: its date, and then enough days that were observed.
    row, seen = np.arange(1, n + 1), np.cumsum(np.isfinite(x))
    soon = first_fit(protocol) + 1
    young = row < soon
    needed, there = np.where(young, soon, MIN_OBSERVED), np.where(young, row, seen)
    return _Told(label, p, days, doubtful, version, needed, there, "days by the first date of a fit")


def _by_rule(x: FloatArray, protocol: Protocol) -> _Told:
    rank = rank_in_year(np.exp(x), protocol)
    label = rule_labels(rank)
    none = np.full((len(x), len(VOLATILITY_REGIMES)), np.nan)
    days = days_in_each(label, np.isfinite(rank))
    needed = np.full(len(x), weeks_needed(protocol))
    there = weeks_there(np.exp(x), protocol)
    version = [RULE_VERSION] * len(x)
    return _Told(
        label, none, days, np.zeros(len(x), dtype=bool), version, needed, there, "weekly means of the last year"
    )


def _why_silent(grid: Grid, kind: SeriesKind) -> list[tuple[ScoreStatus, str] | None]:
    """For each day whether its print forbids a word on it, as for scores."""
    held, still = grid.columns["is_held"] == 1.0, managed(grid, kind)
    print_held = (ScoreStatus.QUARANTINED, "the newest print is held until others confirm it")
    stands = (ScoreStatus.MANAGED, "the rate stood still on over 20 % of the last 22 observations")
    return [print_held if held[t] else stands if still[t] else None for t in range(len(grid))]


def _judged(
    why: Sequence[tuple[ScoreStatus, str] | None], missing: BoolArray, told: _Told, first: int
) -> dict[str, list[object]]:
    """Columns of one method from row `first` on: the status, and label and numbers only if the status allows them."""
    names = ("status", "reasons", "label", "p_calm", "p_normal", "p_stressed", "required", "received", "model_version")
    rows: dict[str, list[object]] = {name: [] for name in names}
    for t in range(first, len(missing)):
        status, reasons, required, received = _verdict(why[t], bool(missing[t]), told, t)
        speaks = status in (ScoreStatus.OK, ScoreStatus.DEGRADED)
        label = VOLATILITY_REGIMES[told.label[t]].value if speaks else None
        p = told.p[t].tolist() if speaks else [math.nan] * len(VOLATILITY_REGIMES)
        values = (status.value, reasons, label, *p, required, received, told.version[t])
        for name, value in zip(names, values, strict=True):
            rows[name].append(value)
    return rows


def _verdict(
    why: tuple[ScoreStatus, str] | None, missing: bool, told: _Told, t: int
) -> tuple[ScoreStatus, list[str], int | None, int | None]:
    if why is not None:
        return why[0], [why[1]], None, None
    if told.label[t] == NO_STATE:
        required, received = int(told.needed[t]), int(told.there[t])
        reason = f"{required} {told.what} required, {received} received"
        return ScoreStatus.INSUFFICIENT_DATA, [reason], required, received
    short = shortage(told.days[t])
    if short is not None:
        return ScoreStatus.INSUFFICIENT_DATA, [short], MIN_DAYS, int(told.days[t].min())
    doubts = _doubts(missing, bool(told.doubtful[t]))
    return (ScoreStatus.DEGRADED if doubts else ScoreStatus.OK), doubts, None, None


def _doubts(missing: bool, doubtful: bool) -> list[str]:
    out = []
    if missing:
        out.append("the day is missing: the state is carried forward")
    if doubtful:
        out.append("no state is likely enough to be entered: the last one stands")
    return out
