"""Whether the edge of a champion over its baseline is fading: two alarms with stated rates of false ones.

`watch` is slow and sure: the running sum of what the champion has lost against its baseline since it was promoted,
beyond what it lost before, against a boundary that an unchanged edge crosses with 5 % probability in a whole life.
`fallback` is quick and coarse: it asks whether the newest 28 outcomes were worse than EWMA by more than 5 % and by more
than chance. Pure: dates and losses come in, a verdict goes out; who serves then is `models.validation.succession`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from models.validation.losses import diebold_mariano, newey_west_variance

FloatArray = NDArray[np.float64]

FALSE_ALARMS = 0.05  # of `watch`, in the whole life of a champion
MIN_REFERENCE = 120  # dates before the watch: the spread of a mean of fewer is not known well enough for the boundary
WINDOW = 28  # outcomes of `fallback` that do not overlap
MAX_RATIO = 1.05
RETURN_RATIO = 1.0  # one that gave way comes back below it: between the two nothing changes, so that nobody flickers
SIGNIFICANCE = 0.05


@dataclass(frozen=True, slots=True)
class Watch:
    """A watch over m reference dates and k later ones.

    `detector` (k,): sum of excess differences in units of their spread over the reference; `boundary` (k,), above which
    it is an alarm; `alarm`: first date above, None without one; `drift`: mean difference since, less the reference's
    (QLIKE; positive: the edge has shrunk). `required`, `received` reference dates; below, there is no verdict.
    """

    status: str
    alarm: pd.Timestamp | None
    detector: FloatArray
    boundary: FloatArray
    drift: float
    required: int
    received: int


@dataclass(frozen=True, slots=True)
class Fallback:
    """`triggered`: the champion should give way, or stay away. `ratio`, `p_value` over the last `dates`; NaN below."""

    triggered: bool
    ratio: float
    p_value: float
    dates: int
    reason: str


def window_dates(horizon_days: int) -> int:
    """Dates that hold `WINDOW` outcomes which do not overlap: 28 at one day, 196 at seven."""
    return WINDOW * horizon_days


def rolling_ratio(losses: pd.DataFrame, champion: str, baseline: str, window: int = WINDOW) -> pd.Series[float]:
    """Mean loss of the champion over that of the baseline in the last `window` dates; NaN before there are as many.

    Parameters
    ----------
    losses : mean loss by date (index, sorted) and model (columns), as `evaluation.panel_losses` makes it
    """
    means = losses[[champion, baseline]].rolling(window, min_periods=window).mean()
    return means[champion] / means[baseline]


def watch(
    losses: pd.DataFrame,
    champion: str,
    baseline: str,
    since: pd.Timestamp,
    false_alarms: float = FALSE_ALARMS,
    life: int | None = None,
    horizon_days: int = 1,
) -> Watch:
    """Watch the champion's edge from `since` on against its edge before.

    Parameters
    ----------
    losses : as in `rolling_ratio`, without NaN in the two columns
    since : first date that is watched; the dates before, on which it was chosen, are the reference
    false_alarms : probability that an unchanged edge is ever called fading
    life : dates after which the watch ends; None = it never does. A limit makes it quicker at the same rate.
    horizon_days : of the forecasts; overlapping windows make neighbouring losses alike

    Raises
    ------
    KeyError
        A model is not among the columns.
    ValueError
        A rate that is no probability, a life that is over, NaN losses, or dates out of order.

    Notes
    -----
    Chu, Stinchcombe & White (1996) with the boundary of Horvath, Huskova, Kokoszka & Steinebach (2004), gamma = 0:
    alarm when sum_{i<=k} (d_i - mean) > c s sqrt(m) (1 + k / m), d = loss of the champion less that of the baseline, m
    reference dates with mean `mean` and long-run spread s (Newey-West). The sum over that denominator tends to a
    Brownian motion at time k / (m + k), whose one-sided supremum on [0, T] exceeds c with probability
    2 (1 - Phi(c / sqrt(T))): so c = sqrt(T) Phi^-1(1 - rate / 2), T = 1 without an end and life / (m + life) with one.
    Simulated with m = 250 and a life of a year, 5 % stated: 5 % for independent differences, 8 % where neighbouring
    ones correlate with 0.2. An edge of 0.25 (mean over s.d. of the daily difference) that vanishes is found within the
    year in 88 % of cases, after 130 days (median). A champion that was chosen for its luck on the reference loses that
    luck, which is an alarm as well: prefer a reference on which it was not chosen.
    """
    if not 0.0 < false_alarms < 1.0:
        raise ValueError(f"false_alarms is a probability between 0 and 1, not {false_alarms}")
    if not losses.index.is_monotonic_increasing:
        raise ValueError("losses must be sorted by date")
    difference = (losses[champion] - losses[baseline]).to_numpy(dtype=float)
    if np.isnan(difference).any():
        raise ValueError("losses hold NaN: pass the dates on which both models have an outcome")
    m = int(np.asarray(losses.index < since).sum())
    later = difference[m:]
    if life is not None and len(later) > life:
        raise ValueError(f"{len(later)} dates have passed of a watch over {life}: begin a new one")
    none = np.full(len(later), math.nan)
    if m < MIN_REFERENCE:
        return Watch("insufficient_data", None, none, none, math.nan, MIN_REFERENCE, m)
    reference = difference[:m]
    lags = max(horizon_days - 1, int(4 * (m / 100) ** (2 / 9)))
    spread = math.sqrt(newey_west_variance(reference, lags) * m)
    if not spread > 0:  # the two were one and the same: anything else from now on is news
        spread = np.finfo(float).tiny
    k = np.arange(1, len(later) + 1)
    detector = np.cumsum(later - reference.mean()) / (spread * math.sqrt(m))
    end = 1.0 if life is None else life / (m + life)
    boundary = math.sqrt(end) * float(stats.norm.ppf(1.0 - false_alarms / 2.0)) * (1.0 + k / m)
    crossed = np.flatnonzero(detector > boundary)
    alarm = pd.Timestamp(losses.index[m + crossed[0]]) if len(crossed) else None
    drift = float(later.mean() - reference.mean()) if len(later) else math.nan
    return Watch("fading" if alarm is not None else "steady", alarm, detector, boundary, drift, MIN_REFERENCE, m)


def fallback(
    losses: pd.DataFrame, champion: str, reference: str = "ewma", horizon_days: int = 1, away: bool = False
) -> Fallback:
    """Whether a baseline should serve instead: the newest outcomes were worse than EWMA's, by much and beyond chance.

    Parameters
    ----------
    losses : as in `rolling_ratio`; outcomes that were known when it is asked; dates with a NaN are left out
    horizon_days : of the forecasts; the window is `window_dates` of it
    away : the champion has given way already: it returns once its ratio is below `RETURN_RATIO`, and not before

    Raises
    ------
    KeyError
        A model is not among the columns.

    Notes
    -----
    The window moves at each look, so the 5 % of one look is not the rate of false alarms. What counts is d, the mean
    of the difference over its s.d. At one day, asked daily (weekly), it triggers within a year in 97 % (90 %) of years
    at d = 0, in 23 % (12 %) at 0.25, in 4 % (2 %) at 0.375 (1,000 simulated years each). It is quick to take back what
    is not much better than EWMA; that is meant. Outcomes of seven days overlap: 28 dates hold four of them, which asked
    weekly would trigger in 75 % of years at d = 0.25. 28 that do not overlap do in 48 % at d = 0 and in 5 % at 0.25.
    """
    both = losses[[champion, reference]].to_numpy(dtype=float)
    dates = window_dates(horizon_days)
    recent = both[np.isfinite(both).all(axis=1)][-dates:]
    if len(recent) < dates:
        return Fallback(away, math.nan, math.nan, dates, f"{dates} dates required, {len(recent)} received")
    own, other = recent[:, 0], recent[:, 1]
    ratio, p = float(own.mean() / other.mean()), diebold_mariano(other, own, horizon_days)[1]
    is_worse = ratio > MAX_RATIO and p < SIGNIFICANCE
    stays_away = away and not ratio < RETURN_RATIO
    words = "worse than allowed and than chance" if is_worse else "no reason to step back"
    if stays_away and not is_worse:
        words = f"it gave way and returns below {RETURN_RATIO:g}"
    reason = f"QLIKE {ratio:.3f} of {reference} over {dates} dates, p = {p:.3f}: {words}"
    return Fallback(bool(is_worse or stays_away), ratio, p, dates, reason)
