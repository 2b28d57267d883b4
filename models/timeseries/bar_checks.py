"""Rows that contradict themselves or could not have been meant: bars, adverts, days with two values.

Pure masks over arrays; each says which rows, never what to do with them. Writing flags is `orchestration.quality`.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.timeseries.limits import DEFAULT_LIMITS, QualityLimits

BoolArray = NDArray[np.bool_]


def check_bars(bars: pd.DataFrame, limits: QualityLimits = DEFAULT_LIMITS) -> dict[str, BoolArray]:
    """Masks (n,) by reason over bars with `open, high, low, close` and, if known, `volume_base`.

    `crossed_range`: high below low. `close_outside_range`, `open_outside_range`: beyond high or low by more than
    rounding. `zero_volume`: nothing was traded. `flat_bar`: one price all through a bar with trades.
    A missing value (NaN) contradicts nothing.
    """
    columns = ("open", "high", "low", "close")
    open_, high, low, close = (bars[name].to_numpy(dtype=float) for name in columns)
    volume = bars["volume_base"].to_numpy(dtype=float) if "volume_base" in bars else np.full(len(bars), np.nan)
    crossed = high < low
    slack = limits.range_tolerance

    def outside(price: NDArray[np.float64]) -> BoolArray:
        return ((price > high * (1 + slack)) | (price < low * (1 - slack))) & ~crossed

    return {
        "crossed_range": crossed,
        "close_outside_range": outside(close),
        "open_outside_range": outside(open_),
        "zero_volume": volume == 0,
        "flat_bar": (high == low) & (volume > 0),
    }


def wide_ranges(bars: pd.DataFrame, limits: QualityLimits = DEFAULT_LIMITS) -> BoolArray:
    """Days (n,) whose `high` stands further above `low` than a day reaches, as a wick that nobody dealt at makes it."""
    high, low = bars["high"].to_numpy(dtype=float), bars["low"].to_numpy(dtype=float)
    return np.asarray(high > low * np.exp(limits.wide_range_log_distance))


def still_forming(ts: pd.Series, available_at: pd.Series, length: timedelta) -> BoolArray:
    """Bars (n,) that were known before they closed: their values were not final."""
    return (available_at < ts + length).to_numpy(dtype=bool)


def conflicting(frame: pd.DataFrame, key: list[str], value: str) -> BoolArray:
    """Rows (n,) whose key appears with more than one value in what one moment knew."""
    return (frame.groupby(key, sort=False)[value].transform("nunique") > 1).to_numpy(dtype=bool)


def crossed_quotes(rates: pd.DataFrame) -> BoolArray:
    """Rates (n,) whose `bid` stands above their `ask`: one of the two, or their order, is wrong."""
    return np.asarray(rates["bid"].to_numpy(dtype=float) > rates["ask"].to_numpy(dtype=float))


def impossible_funding(rates: pd.DataFrame, limits: QualityLimits = DEFAULT_LIMITS) -> BoolArray:
    """Payments (n,) of `funding_rate`, a fraction, that no exchange lets happen: mostly percent or a yearly rate."""
    return np.asarray(np.abs(rates["funding_rate"].to_numpy(dtype=float)) > limits.funding_bound)


def absurd_adverts(adverts: pd.DataFrame, limits: QualityLimits = DEFAULT_LIMITS) -> dict[str, BoolArray]:
    """Masks (n,) over rows with `rate` (median advert), `low` and `high`: an extreme nobody means to trade at."""
    rate = adverts["rate"].to_numpy(dtype=float)
    far = np.exp(limits.advert_log_distance)
    return {
        "absurd_low_advert": adverts["low"].to_numpy(dtype=float) < rate / far,
        "absurd_high_advert": adverts["high"].to_numpy(dtype=float) > rate * far,
    }
