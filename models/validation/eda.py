"""What a panel is like before anything is fitted: how volatility clusters, how heavy its tails are, what is missing.

Facts of the kind that Cont (2001) lists for returns; a series without them is no market series, or was read wrongly.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from models.volatility.outcomes import managed
from models.volatility.panel import Panel

FloatArray = NDArray[np.float64]

LAGS = 60
MIN_ROWS = 250
COLUMNS = (
    "series", "rows", "first", "last", "missing", "managed", "sigma_ann", "kurtosis", "skewness", "acf_ret_1",
    "acf_abs_ret_1", "acf_abs_ret_20", "acf_log_rv_1", "acf_log_rv_5", "acf_log_rv_22", "leverage",
)  # fmt: skip


def facts(panel: Panel) -> pd.DataFrame:
    """One row a series: columns `COLUMNS`.

    `missing`, `managed` are shares of its rows; `sigma_ann` the root of its mean variance a year; `kurtosis` in excess
    of the normal; `leverage` the correlation of a return with the next day's absolute one. NaN under 250 returns.
    """
    rows = []
    for series, grid in panel.grids.items():
        ret = grid.ret[np.isfinite(grid.ret)]
        enough = len(ret) >= MIN_ROWS and ret.std() > 0
        size, level = np.abs(grid.ret), np.log(grid.rv)
        rows.append(
            {
                "series": series,
                "rows": len(grid),
                "first": grid.as_of[0],
                "last": grid.as_of[-1],
                "missing": float(np.isnan(grid.rv).mean()),
                "managed": float(managed(grid, panel.kind).mean()),
                "sigma_ann": math.sqrt(panel.protocol.periods_a_year * float(np.nanmean(grid.rv))),
                "kurtosis": float(stats.kurtosis(ret)) if enough else math.nan,
                "skewness": float(stats.skew(ret)) if enough else math.nan,
                "acf_ret_1": autocorrelation(grid.ret, 1),
                "acf_abs_ret_1": autocorrelation(size, 1),
                "acf_abs_ret_20": autocorrelation(size, 20),
                **{f"acf_log_rv_{lag}": autocorrelation(level, lag) for lag in (1, 5, 22)},
                "leverage": _correlation(grid.ret[:-1], size[1:]),
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def autocorrelation(values: FloatArray, lag: int) -> float:
    """Correlation of (n,) values with those `lag` rows later, over pairs that are both there; NaN under 250 pairs."""
    return _correlation(values[:-lag], values[lag:])


def clustering(panel: Panel) -> pd.DataFrame:
    """Autocorrelation of absolute returns at lags 1 to 60 (index), a column a series."""
    lags = range(1, LAGS + 1)
    return pd.DataFrame(
        {s: [autocorrelation(np.abs(grid.ret), lag) for lag in lags] for s, grid in panel.grids.items()},
        index=pd.Index(lags, name="lag"),
    )


def _correlation(a: FloatArray, b: FloatArray) -> float:
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < MIN_ROWS:
        return math.nan
    x, y = a[both] - a[both].mean(), b[both] - b[both].mean()
    spread = math.sqrt(float(x @ x) * float(y @ y))
    return float(x @ y) / spread if spread > 0 else math.nan
