"""Search of hyper-parameters without fooling oneself: choose on the first dates, judge on dates the search never saw.

A set of parameters is tried by the same purged walk-forward as everything else, on a history that ends where the search
ends. What comes out best there is compared once, with the parameters in force, on the later dates. The best of many
trials is lucky as well as good, so only that second figure counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from models.contracts.horizons import EMBARGO_DAYS
from models.contracts.running import IN_TURN, Runner
from models.validation.losses import QLIKE_CAP, diebold_mariano, qlike
from models.volatility.outcomes import managed
from models.volatility.panel import Grid, Panel
from models.volatility.targets import forward_mean
from models.volatility.walk_forward import Paths, joined, pooled_paths

Changed = Mapping[str, float]

SEARCH_SHARE = 0.6  # of the scored dates; the rest judges
SIGNIFICANCE = 0.05
MIN_DATES = 250  # on either side: fewer carry no test


@dataclass(frozen=True, slots=True)
class Range:
    """What one hyper-parameter may be; `log`: searched by its order of magnitude."""

    low: float
    high: float
    whole: bool
    log: bool


# Of the pooled trees. Wider than what anybody would expect to win, so that a search can also say "not here".
RANGES: Mapping[str, Range] = {
    "learning_rate": Range(0.01, 0.2, False, True),
    "rounds": Range(30, 300, True, True),
    "num_leaves": Range(3, 31, True, True),
    "min_data_in_leaf": Range(50, 1000, True, True),
    "feature_fraction": Range(0.3, 1.0, False, False),
    "bagging_fraction": Range(0.4, 0.95, False, False),
    "lambda_l2": Range(0.1, 50.0, False, True),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The found parameters against those in force on dates after the search. `ratio` under 1: lower QLIKE. `looks`: how
    often a search has looked at these dates, this one included; they share the level (Bonferroni)."""

    dates: int
    ratio: float
    ratio_uncapped: float
    p_value: float
    looks: int = 1

    @property
    def better(self) -> bool:
        """Significantly better, and not worse where losses are not capped."""
        return self.ratio < 1.0 and self.p_value < SIGNIFICANCE / self.looks and self.ratio_uncapped <= 1.0


def search_end(panel: Panel) -> np.datetime64:
    """The moment at which the search ends: 60 % of the scored dates of the panel lie before it.

    Raises
    ------
    ValueError
        Under 250 scored dates on either side.
    """
    dates = np.unique(np.concatenate([grid.as_of[panel.protocol.warm_up :] for grid in panel.grids.values()]))
    place = int(SEARCH_SHARE * len(dates))
    if min(place, len(dates) - place) < MIN_DATES:
        raise ValueError(f"{len(dates)} scored dates are too few to search on some and judge on others")
    return np.datetime64(dates[place])


def until(panel: Panel, moment: np.datetime64) -> Panel:
    """The panel as it was known at `moment`; series that began later are left out."""
    cut = {series: _until(grid, grid.rows_until(moment)) for series, grid in panel.grids.items()}
    return Panel(panel.kind, {series: grid for series, grid in cut.items() if len(grid)})


def forecasts(panel: Panel, horizon_days: int, changed: Changed, run: Runner = IN_TURN) -> Paths:
    """Walk-forward of the pooled trees with some hyper-parameters `changed` (names of `RANGES`): (n,) by series."""
    workers = run.workers  # asked once: a cluster may grow
    return joined(run([partial(_share, panel, horizon_days, dict(changed), i, workers) for i in range(workers)]))


def _share(panel: Panel, horizon_days: int, changed: Changed, share: int, shares: int) -> Paths:
    from models.volatility.lightgbm_forecaster import LightGbm  # 3 s of import

    return pooled_paths(panel, LightGbm(panel.kind, horizon_days, changed=changed), share, shares)


def losses(panel: Panel, paths: Paths, horizon_days: int, cap: float = QLIKE_CAP) -> pd.Series:
    """Mean QLIKE by scored date (index). Managed rows and rows without an outcome do not count; a date without any has
    no entry."""
    found = []
    for series, grid in panel.grids.items():
        loss = qlike(forward_mean(grid.rv, horizon_days), paths[series], cap)
        loss[managed(grid, panel.kind)] = np.nan
        loss[: panel.protocol.warm_up] = np.nan
        found.append(pd.Series(loss, pd.DatetimeIndex(grid.as_of)))
    return pd.concat(found).dropna().groupby(level=0).mean().sort_index()


def judge(panel: Panel, horizon_days: int, found: Changed, end: np.datetime64, run: Runner = IN_TURN) -> Verdict:
    """Compare `found` with the parameters in force on the dates after `end`, horizon and embargo past it."""
    first = pd.Timestamp(end) + pd.Timedelta(days=horizon_days + EMBARGO_DAYS)
    paths = [forecasts(panel, horizon_days, changed, run) for changed in (found, {})]
    (new, old), (raw_new, raw_old) = (
        [losses(panel, path, horizon_days, cap)[first:] for path in paths] for cap in (QLIKE_CAP, math.inf)
    )
    p_value = diebold_mariano(new.to_numpy(), old.to_numpy(), horizon_days)[1]
    return Verdict(len(new), float(new.mean() / old.mean()), float(raw_new.mean() / raw_old.mean()), p_value)


def _until(grid: Grid, rows: int) -> Grid:
    columns = {name: values[:rows] for name, values in grid.columns.items()}
    return Grid(grid.series, grid.as_of[:rows], grid.rv[:rows], grid.ret[:rows], columns, grid.har[:rows])
