"""How far is too far, for each kind of print: daily rates, bars and street adverts.

Here: which distance holds which print, and why, from arrays. Not here: the rule that holds and confirms
(`models.timeseries.quarantine`), reading and writing (`orchestration.quality.suspects`).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.timeseries.limits import DEFAULT_LIMITS, QualityLimits
from models.timeseries.quarantine import Prints, Reason, as_prints

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def rate_prints(rates: pd.DataFrame, limits: QualityLimits = DEFAULT_LIMITS) -> Prints:
    """Daily rates: `rate` and, if there, `accepted` (a human said that the print is true)."""
    return as_prints(_column(rates, "rate"), limits, vouched=_accepted(rates))


def bar_prints(bars: pd.DataFrame, limits: QualityLimits = DEFAULT_LIMITS) -> Prints:
    """Bars in time order: `open`, `close`, `low`, `high`, and where the source gives it `volume_base`, `trades`."""
    far = np.where(thin_bars(bars, limits), limits.thin_log_distance, limits.scale_log_distance)
    return as_prints(
        _column(bars, "close"), limits, far=far, nearby=Reason.THIN, confirm=limits.bar_confirm_log_distance,
        low=_column(bars, "low"), high=_column(bars, "high"), open_=_column(bars, "open"), vouched=_accepted(bars),
    )  # fmt: skip


def street_prints(adverts: pd.DataFrame, limits: QualityLimits = DEFAULT_LIMITS) -> Prints:
    """Street rates in time order: `rate` (median advert) and `n_offers`, NaN where the source does not count.

    True street rates jump by a third overnight, so that a well-attended one is doubted only at a wrong scale.
    """
    thin = _column(adverts, "n_offers") <= limits.thin_offers
    far = np.where(thin, limits.thin_log_distance, limits.scale_log_distance)
    return as_prints(_column(adverts, "rate"), limits, far=far, nearby=Reason.THIN, vouched=_accepted(adverts))


def thin_bars(bars: pd.DataFrame, limits: QualityLimits = DEFAULT_LIMITS) -> BoolArray:
    """Bars (n,) with hardly a deal: one trade, or a hundredth of the usual volume.

    Usual is the median of the bars before, once half the window is there; what is not known makes no bar thin.
    """
    window = limits.thin_volume_window
    volume = bars["volume_base"].astype(float)
    usual = volume.rolling(window, min_periods=window // 2).median().shift(1)
    thin = (volume < limits.thin_volume_share * usual) | (bars["trades"].astype(float) <= limits.thin_trades)
    return thin.to_numpy(dtype=np.bool_)


def _column(frame: pd.DataFrame, name: str) -> FloatArray:
    return frame[name].to_numpy(dtype=float, na_value=np.nan)


def _accepted(frame: pd.DataFrame) -> BoolArray | None:
    return frame["accepted"].to_numpy(dtype=np.bool_) if "accepted" in frame else None
