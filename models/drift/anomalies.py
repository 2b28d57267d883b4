"""Anomalous bars, and whose anomaly they are: the market's or the data's.

A bar is odd when its return or its volume stands eight robust deviations from what the last thirty days had at that
hour of the day. It is the data's when it contradicts itself, repeats the bar before, steps where nobody dealt, or
comes back at once although no other stream moved; it is the market's when others share it or when it stays. Whether
it stays is known one bar later: until then it is `unconfirmed`.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.timeseries.bar_checks import check_bars
from models.timeseries.limits import DEFAULT_LIMITS, QualityLimits
from models.timeseries.quarantine import screen
from models.timeseries.suspects import bar_prints

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

FAR = 8.0  # robust deviations
WINDOW_DAYS = 30
MIN_DAYS = 15
REVERTED = 0.35  # of a move: what is left of it after the next bar when it came back
SHARED = 3.0  # robust deviations of the median peer, to the same side
MIN_PEERS = 2
GAP_STEP = 0.02  # between a close and the next open around the clock: nobody dealt there
_LEAST = 0.6  # of the deviation of all hours: thirty values can lie close together by chance
_MAD = 1.4826  # median absolute deviation of a normal to its standard deviation
_CONTRADICTIONS = ("crossed_range", "close_outside_range", "open_outside_range")


class Nature(StrEnum):
    MARKET = "market"
    DATA = "data"
    UNCONFIRMED = "unconfirmed"  # far, alone, and the next bar has not come


def robust_z(values: FloatArray, times: pd.DatetimeIndex) -> FloatArray:
    """(n,) distance of each hour from the median of the same hour of the thirty days before, in robust deviations.

    The scale of an hour is its own deviation, at least 0.6 of that of all hours, and grows with the last day against
    those days: in a storm large bars are the rule. NaN where under fifteen days are known, or where nothing varied.

    Parameters
    ----------
    values : (n,) one an hour without holes, NaN = missing
    times : (n,) aware UTC, hourly
    """
    n = len(values)
    lead = int(times[0].hour)
    days = -(-(lead + n) // 24)
    grid = np.full(days * 24, np.nan)
    grid[lead : lead + n] = values
    frame = pd.DataFrame(grid.reshape(days, 24))
    median = frame.rolling(WINDOW_DAYS, min_periods=MIN_DAYS).median().shift(1)
    own = (frame - median).abs().rolling(WINDOW_DAYS, min_periods=MIN_DAYS).median().shift(1)
    all_hours = np.broadcast_to(own.median(axis=1).to_numpy()[:, None], own.shape)
    scale = np.maximum(own.to_numpy(), _LEAST * all_hours).reshape(-1) * _MAD
    off = (frame - median).to_numpy().reshape(-1)
    z = off / np.where(scale > 0, scale, np.nan) / _storm(pd.Series(np.abs(off)))
    return np.asarray(z[lead : lead + n])


def _storm(off: pd.Series) -> FloatArray:
    """(n,) median distance of the 24 hours before against that of the thirty days before, at least 1."""
    day = off.rolling(24, min_periods=12).median().shift(1)
    month = off.rolling(24 * WINDOW_DAYS, min_periods=24 * MIN_DAYS // 2).median().shift(1)
    return np.asarray((day / month.where(month > 0)).clip(lower=1.0).fillna(1.0).to_numpy(dtype=float))


def find_anomalies(
    bars: pd.DataFrame, peers: pd.DataFrame | None = None, limits: QualityLimits = DEFAULT_LIMITS
) -> pd.DataFrame:
    """Odd bars of one series.

    Parameters
    ----------
    bars
        Indexed by hourly open time (aware UTC, ascending, holes allowed): `open, high, low, close`, and where known
        `volume_base`, `trades`. Begin thirty days early.
    peers
        Closes of other streams by column, on any of the same hours; None or one column: nobody to ask.

    Returns
    -------
    One row an odd bar in time order, indexed by its open time: `nature`, `reasons` (tuple of names), `z_return`,
    `z_volume`, `z_peers` (robust deviations, NaN = unknown), `decided_at` (open time of the bar that settled it).
    """
    grid = bars.reindex(pd.date_range(bars.index[0], bars.index[-1], freq="1h"))
    times = pd.DatetimeIndex(grid.index)
    close = grid["close"]
    returns = np.log(close.where(close > 0)).diff().to_numpy()
    z = robust_z(returns, times)
    volume = grid["volume_base"] if "volume_base" in grid else pd.Series(np.nan, times)
    z_volume = robust_z(np.log(volume.where(volume > 0)).to_numpy(), times)
    z_peers = _median_peer(peers, times)
    data = _data_faults(grid, limits)
    gone = _came_back(returns)
    far = np.abs(z) > FAR
    with np.errstate(invalid="ignore"):
        shared = (np.abs(z_peers) > SHARED) & (np.sign(z_peers) == np.sign(z))
    odd_volume = np.abs(z_volume) > FAR
    settled = np.append(np.isfinite(returns[1:]), False)
    rows = []
    faulty = np.logical_or.reduce(list(data.values()))
    # The way back of a glitch is as far as the way there: it is no second anomaly.
    back = np.concatenate([[False], (gone & far & ~shared)[:-1]])
    for i in np.flatnonzero(((far | odd_volume) & ~back) | faulty).tolist():
        reasons = [name for name, mask in data.items() if mask[i]]
        if far[i] and not reasons and not shared[i] and gone[i]:
            reasons.append("came_back_at_once")
        nature = Nature.DATA if reasons else Nature.MARKET
        if not reasons:
            reasons += ["shared_by_peers"] if far[i] and shared[i] else []
            reasons += ["far_return"] if far[i] else []
            reasons += ["far_volume"] if odd_volume[i] else []
            if far[i] and not shared[i] and not settled[i]:
                nature = Nature.UNCONFIRMED
            elif far[i] and not shared[i]:
                reasons.append("stayed")
        waits = far[i] and not shared[i] and settled[i] and not faulty[i]
        rows.append((times[i], nature, tuple(reasons), z[i], z_volume[i], z_peers[i], times[i + 1 if waits else i]))
    names = ["ts", "nature", "reasons", "z_return", "z_volume", "z_peers", "decided_at"]
    return pd.DataFrame(rows, columns=names).set_index("ts")


def _data_faults(grid: pd.DataFrame, limits: QualityLimits) -> dict[str, BoolArray]:
    """Masks (n,) of what no market does, whatever the distance."""
    checks = check_bars(grid, limits)
    found = {name: checks[name] for name in _CONTRADICTIONS}
    prices = grid[["open", "high", "low", "close"]].to_numpy(dtype=float)
    repeated = np.zeros(len(grid), dtype=bool)
    repeated[1:] = (prices[1:] == prices[:-1]).all(axis=1)
    if "volume_base" in grid:  # nothing was dealt: standing still is what the market did
        repeated &= grid["volume_base"].fillna(1.0).to_numpy() > 0
    found["repeated_bar"] = repeated
    usable = grid.dropna(subset=["open", "high", "low", "close"])
    usable = usable[(usable[["open", "high", "low", "close"]] > 0).all(axis=1)]
    held = np.zeros(len(grid), dtype=bool)
    if len(usable):
        asked = usable.reindex(columns=["open", "high", "low", "close", "volume_base", "trades"])
        held[grid.index.get_indexer(usable.index)] = screen(bar_prints(asked, limits)).held
    found["held_print"] = held
    step = np.zeros(len(grid), dtype=bool)
    with np.errstate(invalid="ignore", divide="ignore"):
        step[1:] = np.abs(np.log(prices[1:, 0] / prices[:-1, 3])) > GAP_STEP
    found["step_without_deal"] = step
    return found


def _came_back(returns: FloatArray) -> BoolArray:
    """(n,) whether the next bar took most of the move back; False where it has not come."""
    later = np.append(returns[1:], np.nan)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.abs(returns + later) < REVERTED * np.abs(returns))


def _median_peer(peers: pd.DataFrame | None, times: pd.DatetimeIndex) -> FloatArray:
    """(n,) median robust z of the peers' returns; NaN with fewer than two of them."""
    if peers is None or peers.shape[1] < MIN_PEERS:
        return np.full(len(times), np.nan)
    closes = peers.reindex(times)
    each = np.stack([robust_z(np.log(closes[name]).diff().to_numpy(), times) for name in closes])
    out = np.full(len(times), np.nan)
    enough = np.isfinite(each).sum(axis=0) >= MIN_PEERS
    out[enough] = np.nanmedian(each[:, enough], axis=0)
    return out
