"""Out-of-sample forecasts of every member at every origin: protocol `vol-wf-1`.

Models of one series are refitted every 28 days (21 observations for rates), pooled ones every 56 (126) days, on
expanding windows; a row trains only if its target window plus one day of embargo has closed. Threads share each fit of
the pool and the laws of the series; the result does not depend on their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar, Protocol, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.contracts.horizons import EMBARGO_DAYS
from models.contracts.market import SeriesKind
from models.risk.var import tail_path
from models.volatility.combination import Combination, combined_paths
from models.volatility.law import volatility_score
from models.volatility.members import POOLED, make, members_for
from models.volatility.outcomes import adaptive_step, outcomes_of, spike_probabilities
from models.volatility.panel import Panel, build_panel
from models.volatility.targets import first_fit, refit_points, spans

FloatArray = NDArray[np.float64]
Progress = Callable[[str], None]
Item = TypeVar("Item")
Result = TypeVar("Result")

END_OF_TIME = np.datetime64("9999-01-01")


def silent(message: str) -> None:
    """Progress reporter that reports nothing."""


def walk_forward(
    panel: pd.DataFrame | Panel,
    kind: SeriesKind,
    horizon_days: int,
    members: Sequence[str] | None = None,
    threads: int = 1,
    progress: Progress = silent,
) -> pd.DataFrame:
    """Forecasts of `members` for every origin past half the warm-up.

    Parameters
    ----------
    panel : rows of `features.volatility` of one kind, several series, or a panel built from them
    members : names of `models.volatility.members`; None = those that compete for this kind. A combination pools the
        members before it.

    Returns
    -------
    One row per (model, series, origin): `model`, `series`, `horizon_days`, `origin` (date), `as_of`, `issued_at`
    (= as_of), `known_at` (when the outcome is known, embargo included; NaT while open), `rv_forecast`, `realised` (NaN
    while open), `threshold`, `p_spike`, `score`, `var99`, `es99` (horizon of one day only), `ret_next`, `managed`,
    `scored`, `p_direct` (of the spike classifier, for the combination of a pool; else NaN). `scored` marks origins past
    the protocol's warm-up: only they are compared and published; the earlier ones feed the error laws. Rows without
    a forecast are left out, so a panel of short series has none.
    """
    built = panel if isinstance(panel, Panel) else build_panel(panel, kind)
    frames: list[pd.DataFrame] = []
    paths: dict[str, dict[str, FloatArray]] = {}
    for member in members or members_for(kind):
        progress(f"{kind} h={horizon_days} {member}: {len(built.grids)} series")
        direct: dict[str, FloatArray] = {}
        if member == Combination.name:
            if not paths:
                raise ValueError("a combination pools the members before it: name at least one")
            paths[member] = combined_paths(built, paths, horizon_days)
            direct = spike_paths(built, horizon_days, threads) if "lightgbm" in paths else {}
        elif member in POOLED:
            paths[member] = pooled_paths(built, make(member, kind, horizon_days, threads))
        else:
            paths[member] = own_paths(built, member, horizon_days)

        def frame(series: str, member: str = member, direct: dict[str, FloatArray] = direct) -> pd.DataFrame:
            return _frame(built, member, series, paths[member][series], horizon_days, direct.get(series))

        frames += _map(frame, built.grids, threads)
    if not frames:
        raise ValueError(f"nothing to forecast: the {kind} panel holds no series")
    return pd.concat(frames, ignore_index=True)


def own_paths(panel: Panel, member: str, horizon_days: int) -> dict[str, FloatArray]:
    """Forecasts (n,) by series of a member that is fitted to each series by itself; NaN before the first fit."""

    def one(series: str) -> FloatArray:
        alone = panel.only(series)
        grid = alone.grids[series]
        forecaster = make(member, panel.kind, horizon_days)
        out = np.full(len(grid), np.nan)
        for start, stop in spans(refit_points(len(grid), panel.protocol), len(grid)):
            forecaster.fit(alone, grid.as_of[start])
            out[start:stop] = forecaster.forecast(alone, series, start, stop)
        return out

    # Not threaded: an optimiser that hands the interpreter lock over at every step is ten times slower, not faster.
    return {series: one(series) for series in panel.grids}


def pool_refit_dates(panel: Panel) -> list[np.datetime64]:
    """Refit dates of the pool: from the day on which a quarter of the series that have begun by then have their first
    own fit. Series that begin later do not count: they would move dates of the past."""
    protocol = panel.protocol
    fit = first_fit(protocol)
    begun = np.sort([grid.as_of[0] for grid in panel.grids.values()])
    starts = sorted(grid.as_of[fit] for grid in panel.grids.values() if len(grid) > fit)
    enough = (date for fitted, date in enumerate(starts) if fitted >= np.searchsorted(begun, date, side="right") // 4)
    first = next(enough, None)
    if first is None:
        return []
    last = max(grid.as_of[-1] for grid in panel.grids.values())
    return list(np.arange(first, last + np.timedelta64(1, "D"), np.timedelta64(protocol.pool_refit_step, "D")))


def spike_paths(panel: Panel, horizon_days: int, threads: int = 1) -> dict[str, FloatArray]:
    """Probabilities (n,) by series of the pooled spike classifier."""
    from models.volatility.lightgbm_spikes import SpikeClassifier  # 3 s of import that baselines do not need

    return pooled_paths(panel, SpikeClassifier(panel.kind, horizon_days, threads))


class Learner(Protocol):
    """What is fitted to a panel and then answers for one of its series."""

    refits_every: ClassVar[int]

    def fit(self, panel: Panel, known_until: np.datetime64) -> None: ...

    def refresh(self, panel: Panel, known_until: np.datetime64) -> None: ...

    def forecast(self, panel: Panel, series: str, start: int = 0, stop: int | None = None) -> FloatArray: ...


def pooled_paths(panel: Panel, learner: Learner) -> dict[str, FloatArray]:
    """Answers (n,) by series of a learner with one fit for the panel, threads or not as the learner was made.

    A learner that is dear to fit is fitted at every `refits_every`-th refit date and refreshed at the others.
    """
    out = {series: np.full(len(grid), np.nan) for series, grid in panel.grids.items()}
    for position, (start, stop) in enumerate(spans(pool_refit_dates(panel), END_OF_TIME)):
        (learner.refresh if position % learner.refits_every else learner.fit)(panel, start)
        for series, grid in panel.grids.items():
            low, high = (int(np.searchsorted(grid.as_of, moment)) for moment in (start, stop))
            low = max(low, first_fit(panel.protocol))
            if low < high:
                out[series][low:high] = learner.forecast(panel, series, low, high)
    return out


def _frame(
    panel: Panel, member: str, series: str, forecast: FloatArray, horizon_days: int, direct: FloatArray | None
) -> pd.DataFrame:
    grid, protocol = panel.grids[series], panel.protocol
    outcomes = outcomes_of(grid, panel.kind, protocol, horizon_days)
    _, probability = spike_probabilities(outcomes, forecast, protocol, direct)
    var = es = np.full(len(grid), np.nan)
    if horizon_days == 1:
        var, es, _ = tail_path(grid.ret, forecast, adaptive_step(panel.kind))
    as_of = pd.DatetimeIndex(grid.as_of).tz_localize("UTC")
    out = pd.DataFrame(
        {
            "model": member,
            "series": series,
            "horizon_days": horizon_days,
            "origin": as_of.tz_localize(None).normalize() - pd.Timedelta(days=1),
            "as_of": as_of,
            "issued_at": as_of,
            "known_at": _known_at(as_of, horizon_days),
            "rv_forecast": forecast,
            "realised": outcomes.target,
            "threshold": outcomes.threshold,
            "p_spike": probability,
            "score": volatility_score(probability),
            "var99": var,
            "es99": es,
            "ret_next": outcomes.ret_next,
            "managed": outcomes.managed,
            "scored": np.arange(len(grid)) >= protocol.warm_up,
            "p_direct": np.nan if direct is None else direct,
        }
    )
    return out[np.isfinite(forecast)]


def _known_at(as_of: pd.DatetimeIndex, horizon_days: int) -> pd.DatetimeIndex:
    """Counted in rows of the series' own calendar: around holidays and holes days would come too early."""
    lag = horizon_days + EMBARGO_DAYS
    return pd.DatetimeIndex(as_of.to_series().shift(-lag))


def _map(function: Callable[[Item], Result], items: Iterable[Item], threads: int) -> list[Result]:
    if threads <= 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, items))
