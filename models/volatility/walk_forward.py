"""Out-of-sample forecasts of every member at every origin: protocol `vol-wf-1`.

Models of one series are refitted every 28 days (21 observations for rates), pooled ones every 56 (126) days, on
expanding windows; a row trains only if its target window plus one day of embargo has closed. The work is cut into
shares, of series where each has its own fits and of refit dates where the panel has one; the result does not depend on
how many there are or where they are run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.contracts.horizons import EMBARGO_DAYS
from models.contracts.market import SeriesKind
from models.contracts.running import IN_TURN, Runner
from models.risk.var import tail_path
from models.volatility.combination import Combination, combined_paths
from models.volatility.law import volatility_score
from models.volatility.members import POOLED, make, members_for
from models.volatility.outcomes import adaptive_step, outcomes_of, spike_probabilities
from models.volatility.panel import Panel, build_panel
from models.volatility.targets import first_fit, refit_points, spans

FloatArray = NDArray[np.float64]
Progress = Callable[[str], None]
Paths = dict[str, FloatArray]  # by series, (n,) each

SPIKES = "spikes"  # beside the members: the probability of the pooled spike classifier
END_OF_TIME = np.datetime64("9999-01-01")


def silent(message: str) -> None:
    """Progress reporter that reports nothing."""


def walk_forward(
    panel: pd.DataFrame | Panel,
    kind: SeriesKind,
    horizon_days: int,
    members: Sequence[str] | None = None,
    run: Runner = IN_TURN,
    progress: Progress = silent,
) -> pd.DataFrame:
    """Forecasts of `members` for every origin past half the warm-up.

    Parameters
    ----------
    panel : rows of `features.volatility` of one kind, several series, or a panel built from them
    members : names of `models.volatility.members`; None = those that compete for this kind. A combination pools the
        members before it.
    run : where the shares of the work are done; None of its tasks depends on another

    Returns
    -------
    One row per (model, series, origin): `model`, `series`, `horizon_days`, `origin` (date), `as_of`, `issued_at`
    (= as_of), `known_at` (when the outcome is known, embargo included; NaT while open), `rv_forecast`, `realised` (NaN
    while open), `threshold`, `p_spike`, `score`, `var99`, `es99` (horizon of one day only), `ret_next`, `managed`,
    `scored`, `p_direct` (of the pool's spike classifier; NaN where there is none), `p_law` (what `p_spike` would be
    without it). `scored` marks origins past the protocol's warm-up: only they are compared and published; the earlier
    ones feed the error laws. Rows without a forecast are left out, so a panel of short series has none.

    Raises
    ------
    ValueError
        A combination has no member before it, or the panel holds no series.
    """
    built = panel if isinstance(panel, Panel) else build_panel(panel, kind)
    if not built.grids:
        raise ValueError(f"nothing to forecast: the {kind} panel holds no series")
    names = list(members or members_for(kind))
    pooled = names.index(Combination.name) if Combination.name in names else len(names)
    if pooled == 0:
        raise ValueError("a combination pools the members before it: name at least one")
    fitted = [name for name in names if name != Combination.name]
    learners = [*fitted, SPIKES] if Combination.name in names and "lightgbm" in names[:pooled] else fitted
    progress(f"{kind} h={horizon_days} {', '.join(learners)}: {len(built.grids)} series")
    workers = run.workers  # asked once: a cluster may grow
    shares = run([partial(_share, built, learners, horizon_days, share, workers) for share in range(workers)])
    paths = {name: joined([share[name] for share in shares]) for name in learners}
    direct = paths.pop(SPIKES, {})
    if Combination.name in names:
        progress(f"{kind} h={horizon_days} {Combination.name}: {pooled} members")
        paths[Combination.name] = combined_paths(built, {name: paths[name] for name in names[:pooled]}, horizon_days)

    def frames_of(member: str) -> Callable[[], pd.DataFrame]:
        return partial(_frames, built, member, paths[member], horizon_days, direct)

    return pd.concat(run([frames_of(member) for member in names]), ignore_index=True)


def _share(panel: Panel, learners: Sequence[str], horizon_days: int, share: int, shares: int) -> dict[str, Paths]:
    """What one of `shares` workers does of each learner: paths that are NaN, or not there, where others do it."""
    own = panel.only(*list(panel.grids)[share::shares])
    found = {}
    for name in learners:
        if name == SPIKES:
            found[name] = spike_paths(panel, horizon_days, share, shares)
        elif name in POOLED:
            found[name] = pooled_paths(panel, make(name, panel.kind, horizon_days), share, shares)
        else:
            found[name] = own_paths(own, name, horizon_days)
    return found


def joined(shares: Sequence[Paths]) -> Paths:
    """Paths of which each share holds a part: NaN, or a series that is not there, where another has the answer."""
    out: Paths = {}
    for share in shares:
        for series, path in share.items():
            out[series] = path if series not in out else np.where(np.isfinite(path), path, out[series])
    return out


def own_paths(panel: Panel, member: str, horizon_days: int) -> Paths:
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


def spike_paths(panel: Panel, horizon_days: int, share: int = 0, shares: int = 1) -> Paths:
    """Probabilities (n,) by series of the pooled spike classifier."""
    from models.volatility.lightgbm_spikes import SpikeClassifier  # 3 s of import that baselines do not need

    return pooled_paths(panel, SpikeClassifier(panel.kind, horizon_days), share, shares)


class Learner(Protocol):
    """What is fitted to a panel and then answers for one of its series."""

    refits_every: ClassVar[int]

    def fit(self, panel: Panel, known_until: np.datetime64) -> None: ...

    def refresh(self, panel: Panel, known_until: np.datetime64) -> None: ...

    def forecast(self, panel: Panel, series: str, start: int = 0, stop: int | None = None) -> FloatArray: ...


def pooled_paths(panel: Panel, learner: Learner, share: int = 0, shares: int = 1) -> Paths:
    """Answers (n,) by series of a learner with one fit for the panel.

    Refit dates do not depend on each other, but for a learner that is dear to fit: groups of its `refits_every` dates
    share the fit of their first. One share of several answers for every `shares`-th group only, the rest stays NaN.
    """
    periods = spans(pool_refit_dates(panel), END_OF_TIME)
    size = learner.refits_every
    groups = [periods[first : first + size] for first in range(0, len(periods), size)]
    out = {series: np.full(len(grid), np.nan) for series, grid in panel.grids.items()}
    for position, (start, stop) in ((at, period) for group in groups[share::shares] for at, period in enumerate(group)):
        (learner.refresh if position else learner.fit)(panel, start)
        for series, grid in panel.grids.items():
            low, high = (int(np.searchsorted(grid.as_of, moment)) for moment in (start, stop))
            low = max(low, first_fit(panel.protocol))
            if low < high:
                out[series][low:high] = learner.forecast(panel, series, low, high)
    return out


def _frames(panel: Panel, member: str, paths: Paths, horizon_days: int, direct: Paths) -> pd.DataFrame:
    rows = [_frame(panel, member, s, paths[s], horizon_days, direct.get(s)) for s in panel.grids]
    return pd.concat(rows, ignore_index=True)


def _frame(
    panel: Panel, member: str, series: str, forecast: FloatArray, horizon_days: int, direct: FloatArray | None
) -> pd.DataFrame:
    grid, protocol = panel.grids[series], panel.protocol
    outcomes = outcomes_of(grid, panel.kind, protocol, horizon_days)
    _, by_law = spike_probabilities(outcomes, forecast, protocol)
    probability = by_law if direct is None else spike_probabilities(outcomes, forecast, protocol, direct)[1]
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
            "p_law": by_law,
        }
    )
    return out[np.isfinite(forecast)]


def _known_at(as_of: pd.DatetimeIndex, horizon_days: int) -> pd.DatetimeIndex:
    """Counted in rows of the series' own calendar: around holidays and holes days would come too early."""
    lag = horizon_days + EMBARGO_DAYS
    return pd.DatetimeIndex(as_of.to_series().shift(-lag))
