"""A vault as a series of its own: daily variance and return of its present weights over the history of its legs.

The vault's forecast, law and score then come from this series by the same code as for any other: scores of legs are
never averaged. The variance of a past day is sigma^2 = w' D R D w with D from the legs' realised variances and R
their exponentially weighted, shrunk correlations, hence every row is flagged `approximate`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.contracts.horizons import RV_FLOOR
from models.contracts.market import Calendar, SeriesKind
from models.timeseries.calendars import is_open
from models.volatility.panel import aware, utc

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

CORRELATION_DECAY = 0.97
EFFECTIVE_DAYS = (1 + CORRELATION_DECAY) / (1 - CORRELATION_DECAY)  # of an exponentially weighted sample
MAX_CLOSED_DAYS = 5  # a longer silence of a rate is missing data, not a weekend
HOURLY = (SeriesKind.CANDLES, SeriesKind.VAULT)


@dataclass(frozen=True, slots=True)
class Leg:
    """One risky leg. `weight`: share of the vault, 0-1. `invert`: the asset is worth 1 / rate."""

    series: str
    kind: SeriesKind
    weight: float
    invert: bool = False


def vault_rows(rows: pd.DataFrame, legs: Sequence[Leg], vault_id: str, hour: int = 0) -> pd.DataFrame:
    """Rows like those of `features.volatility`, kind `vault`, for the days that close at `hour` UTC.

    Parameters
    ----------
    rows
        Rows of `features.volatility` of all legs, of any kind; what the weights leave to 1 is stable and still.

    Returns
    -------
    `series` ("vault:<id>"), `kind`, `as_of`, `origin`, `is_origin`, `rv`, `ret`, `close` (1 at the start), `is_held`,
    `n_obs`, `n_expected` (legs with a value, legs), `share_imputed` (weighted), `closed_share` (share of the risky
    weight without a print that day), `approximate`. The history starts where every leg has begun and ends with the
    hourly legs, if there are any: a rate closes at midnight, in the middle of a vault day that is still running. A day
    on which a rate's market is closed adds nothing for that leg; nor does an open day without a print, but that counts
    as imputed. If no leg has a print, the day is left out. A leg that is missing makes the day missing.

    Raises
    ------
    ValueError
        No leg has a weight, or a leg has no rows.
    """
    risky = [leg for leg in legs if leg.weight > 0]
    if not risky:
        raise ValueError(f"vault {vault_id} has no risky leg with a weight: nothing to score")
    own = {leg.series: _leg_rows(rows, leg, hour) for leg in risky}
    hourly = [own[leg.series] for leg in risky if leg.kind in HOURLY]
    end = max(part.index[-1] for part in hourly or own.values())
    start = max(part.index[0] for part in own.values())
    days = pd.date_range(start, end, freq="D")
    aligned = {leg.series: _on_days(own[leg.series], days, leg.kind) for leg in risky}
    weights = np.array([leg.weight * (-1.0 if leg.invert else 1.0) for leg in risky])
    ret = np.column_stack([part["ret"].to_numpy(dtype=float) for part in aligned.values()])
    rv = np.column_stack([part["rv"].to_numpy(dtype=float) for part in aligned.values()])
    closed = np.column_stack([part["closed"].to_numpy(dtype=bool) for part in aligned.values()])
    variance = _variance(weights, rv, ret, closed)
    share = np.abs(weights) / np.abs(weights).sum()
    total = np.where(np.isfinite(ret).all(axis=1), np.nan_to_num(ret) @ weights, np.nan)
    out = pd.DataFrame(
        {
            "series": f"vault:{vault_id}",
            "kind": str(SeriesKind.VAULT),
            "as_of": [aware(moment) for moment in days.to_numpy()],
            "origin": (days - pd.Timedelta(hours=1)).normalize(),
            "is_origin": days.hour == 0,
            "rv": np.maximum(variance, RV_FLOOR),
            "ret": total,
            "close": np.exp(np.cumsum(np.nan_to_num(total))),
            "is_held": np.column_stack([part["is_held"] for part in aligned.values()]).any(axis=1),
            "n_obs": np.isfinite(rv).sum(axis=1),
            "n_expected": len(risky),
            "share_imputed": np.column_stack([part["share_imputed"] for part in aligned.values()]) @ share,
            "closed_share": closed @ share,
            "approximate": True,
        }
    )
    return out.iloc[np.flatnonzero(~closed.all(axis=1))].reset_index(drop=True)


def shrunk_correlations(ret: FloatArray, closed: BoolArray, decay: float = CORRELATION_DECAY) -> FloatArray:
    """Correlation matrix in force after each day, from that day and those before it.

    Parameters
    ----------
    ret : (n, k) log returns, NaN = missing
    closed : (n, k) market closed: the day says nothing about this leg's correlations

    Returns
    -------
    (n, k, k) with unit diagonal; the identity before the first common day.

    Notes
    -----
    Exponentially weighted second moments per pair over the days on which both moved, shrunk towards the identity with
    intensity sum Var(r_ij) / sum r_ij^2 (Schaefer & Strimmer 2005, after Ledoit & Wolf 2003), Var(r) =
    (1 - r^2)^2 / (effective days - 1).
    """
    n, k = ret.shape
    moments, own = np.zeros((k, k)), np.zeros((k, k))
    out = np.empty((n, k, k))
    usable = np.isfinite(ret) & ~closed
    values = np.where(usable, ret, 0.0)
    off_diagonal = ~np.eye(k, dtype=bool)
    for t in range(n):
        both = np.outer(usable[t], usable[t])
        moments = np.where(both, decay * moments + (1 - decay) * np.outer(values[t], values[t]), moments)
        squares = np.repeat((values[t] ** 2)[:, None], k, axis=1)  # variance of the row's leg on the pair's days
        own = np.where(both, decay * own + (1 - decay) * squares, own)
        scale = np.sqrt(own * own.T)
        raw = np.divide(moments, scale, out=np.zeros((k, k)), where=scale > 0)
        raw = np.clip(raw, -1.0, 1.0)
        noise = float(((1 - raw[off_diagonal] ** 2) ** 2).sum()) / (EFFECTIVE_DAYS - 1)
        signal = float((raw[off_diagonal] ** 2).sum())
        intensity = min(1.0, noise / signal) if signal > 0 else 1.0
        out[t] = _proper(np.where(off_diagonal, (1 - intensity) * raw, 1.0))
    return out


def _proper(matrix: FloatArray) -> FloatArray:
    """The matrix itself, or, where pairs of different days contradict each other, without its negative part."""
    values, vectors = np.linalg.eigh(matrix)
    if values[0] >= 0.0:
        return matrix
    positive = (vectors * np.maximum(values, 0.0)) @ vectors.T
    scale = np.sqrt(np.diagonal(positive))
    return np.asarray(positive / np.outer(scale, scale))


def _variance(weights: FloatArray, rv: FloatArray, ret: FloatArray, closed: BoolArray) -> FloatArray:
    exposure = weights * np.sqrt(rv)
    correlations = shrunk_correlations(ret, closed)
    return np.asarray(np.einsum("ti,tij,tj->t", exposure, correlations, exposure))


def _leg_rows(rows: pd.DataFrame, leg: Leg, hour: int) -> pd.DataFrame:
    """Rows of one leg by the moment (naive UTC, at `hour`) of the vault day that holds their close."""
    part = rows[rows["series"] == leg.series]
    moments = pd.DatetimeIndex(utc(part["as_of"]))
    shifted = (moments - pd.Timedelta(hours=hour)).ceil("D") + pd.Timedelta(hours=hour)
    defaults: Mapping[str, float] = {"is_held": 0.0, "share_imputed": 0.0}
    out = pd.DataFrame(
        {
            name: pd.to_numeric(part[name]).astype(float).to_numpy() if name in part else defaults[name]
            for name in ("rv", "ret", "is_held", "share_imputed")
        },
        index=shifted,
    )
    if leg.kind in HOURLY:
        out = out[moments == shifted]
    out = out.sort_index()
    if out.empty:
        raise ValueError(f"leg {leg.series} has no rows that close at {hour:02d}:00: materialise its features first")
    return out


def _on_days(part: pd.DataFrame, days: pd.DatetimeIndex, kind: SeriesKind) -> pd.DataFrame:
    """One row per vault day. A rate without a row is still (zero return) for a weekend's length, then missing; on a
    day of the currency week that stillness is assumed, not seen: it counts as imputed."""
    out = part.reindex(days)
    closed = np.zeros(len(days), dtype=bool)
    if kind not in HOURLY:
        position = np.where(days.isin(part.index), np.arange(len(days)), -1)
        since = np.arange(len(days)) - np.maximum.accumulate(position)
        closed = (since > 0) & (since <= MAX_CLOSED_DAYS) & (np.maximum.accumulate(position) >= 0)
    out.loc[closed, ["rv", "ret"]] = 0.0
    published = days.normalize() - pd.Timedelta(days=1)  # what a vault day takes in closed on the date before its end
    is_closed_market = closed & ~is_open(published, Calendar.FX_WEEK)
    return out.assign(
        closed=closed,
        is_held=out["is_held"].ffill().fillna(0.0).astype(bool),
        share_imputed=out["share_imputed"].fillna(pd.Series(np.where(is_closed_market, 0.0, 1.0), days)),
    )
