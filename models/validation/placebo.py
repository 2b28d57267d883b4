"""The placebo: on days whose order was drawn by lot nothing can be forecast, so a learner that does well has cheated.

All days of a panel change places together, with everything that was said of them, and the learner runs through the
whole of it again: features, fits, forecasts. Labels and features then come from independent days, and a forecast is
worth no more than the constant of its own level.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.validation.leaks import Finding
from models.validation.losses import qlike

FloatArray = NDArray[np.float64]

MIN_SHIFT = 30  # days
MIN_SHIFTS = 200  # fewer are no distribution
ROUNDS = 3
MIN_SHARED = 0.9  # of the dates of the longest series

Learn = Callable[[pd.DataFrame], pd.DataFrame]


def placebo(learn: Learn, rows: pd.DataFrame, rng: np.random.Generator, subject: str) -> Finding:
    """Whether a learner has skill where there is nothing to learn.

    Parameters
    ----------
    learn : shuffled rows -> its out-of-sample forecasts: `series`, `as_of`, `rv_forecast`, `realised` (NaN while open)

    Notes
    -----
    The skill is the mean QLIKE of the forecasts at their own dates against the same forecasts moved round the calendar
    by every number of days from `MIN_SHIFT` on: each of those has the same levels and the same persistence and cannot
    know anything, a constant least of all. An honest learner beats its K shifts with probability 1 / (K + 1)
    (randomisation over rotations). An alarm needs that in `ROUNDS` shuffles one after the other, so its rate is
    (K + 1)^-3, below 1.3e-7 for the 200 shifts that are asked for; a learner that has seen its labels beats them all
    each time. Shorter shifts stay out: what looks a few days ahead is still right about the day beside.
    """
    dates = 0
    for _ in range(ROUNDS):
        forecast, realised = _by_date(learn(shuffled(rows, rng)))
        dates = len(forecast)
        if dates < MIN_SHIFTS + 2 * MIN_SHIFT:
            return Finding("placebo", subject, 0, 0)
        own, others = shifted_losses(forecast, realised)
        if own >= others.min():
            return Finding("placebo", subject, dates, 0)
    told = f"QLIKE {own:.4f} on shuffled days, {others.mean():.4f} of the same forecasts on other days"
    return Finding("placebo", subject, dates, 1, told)


def shuffled(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """`rows` of the dates that series share, their days in a random order, the same for every series.

    The calendar stays: what is said of a day moves to another date as a whole, across the panel, so that every order
    of the days is equally likely under independence, and what the series have in common on a day remains. A series
    that would take more than a tenth of the dates from the longest one stays out.
    """
    own = {name: set(part["as_of"]) for name, part in rows.groupby("series")}
    longest, *others = sorted(own, key=lambda name: -len(own[name]))
    shared, together = own[longest], {longest}
    for name in others:
        if len(shared & own[name]) >= MIN_SHARED * len(own[longest]):
            shared, together = shared & own[name], {*together, name}
    inside = rows["as_of"].isin(shared) & rows["series"].isin(together)
    kept = rows[inside].sort_values(["series", "as_of"], ignore_index=True)
    dates = kept["as_of"].unique()
    order = rng.permutation(len(dates))
    moved = kept.groupby("series", sort=False).cumcount().to_numpy()
    first = np.arange(len(kept)) - moved
    out = kept.iloc[first + order[moved]].reset_index(drop=True)
    return out.assign(as_of=kept["as_of"])


def shifted_losses(forecast: FloatArray, realised: FloatArray) -> tuple[float, FloatArray]:
    """Mean QLIKE of (dates, series) forecasts at their own dates, and (k,) at each rotation by `MIN_SHIFT` or more."""
    own = float(qlike(realised, forecast).mean())
    turns = range(MIN_SHIFT, len(forecast) - MIN_SHIFT + 1)
    return own, np.array([qlike(realised, np.roll(forecast, turn, axis=0)).mean() for turn in turns])


def _by_date(said: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
    """Forecasts and outcomes (dates, series) of the dates on which every series has both."""
    complete = said[said["realised"].notna() & (said["rv_forecast"] > 0)]
    wide = complete.pivot_table(index="as_of", columns="series", values=["rv_forecast", "realised"]).dropna()
    if wide.empty:
        return np.empty((0, 0)), np.empty((0, 0))
    return wide["rv_forecast"].to_numpy(), wide["realised"].to_numpy()
