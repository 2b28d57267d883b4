"""Volatility drift of an hourly stream: a likelihood-ratio search over when the level of volatility rose.

The logarithm of mean absolute returns over blocks of the last sixty days (six hours to thirty days long) is a vector
whose covariance the history gives. A rise that began w hours ago adds one constant to the blocks younger than w: the
best contrast for that onset is the matched filter, and the statistic is the largest over onsets (Lai 1995: window
limited generalised likelihood ratio). Contrasts ignore the level itself, so a coin that is calmer for a year is not
in drift.

Volatility alone comes and goes too much for a quick alarm: crises double it several times a year. Traded volume and
the volatility of other streams share most of that, and enter as further blocks that a drift of this stream does not
move. Both are watched, with half of the false alarms each: the first also sees a storm over the whole market, the
second a stream that leaves its market.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.drift.alarms import NotEnoughHistory
from models.drift.thresholds import DAYS_A_QUARTER, Threshold, calibrate, daily_maxima, episodes

FloatArray = NDArray[np.float64]

EDGES_H = (0, 6, 12, 24, 48, 72, 96, 120, 168, 240, 360, 720, 1440)  # hours back from the newest return
HISTORY_H = EDGES_H[-1]
ONSETS_H = (24, 48, 72, 96, 120)  # what a goal of 120 hours asks to tell apart
MIN_SHARE = 0.75  # of the hours of a block: an outage of a day makes young blocks unknown, not old ones
REARM_H = 14 * 24  # an alarm stands for two weeks after its last exceedance: one storm is one alarm
MEAN_BLOCK_DAYS = 30.0  # volatility clusters over months; a block must hold whole episodes
MIN_PEERS = 2
FIT_H = 180 * 24  # full vectors needed for a covariance of up to 36 blocks
_RIDGE = 0.003  # of the mean variance: neighbouring blocks are nearly collinear
_LEVEL = 1e3  # prior variance of each input's level, in block variances: the level carries no weight
_FLOOR = 0.05  # of the usual |return|: an hour without a move is quiet, not minus infinity
_HOURS_A_WEEK = 168


@dataclass(frozen=True)
class HourlyStream:
    """Hours without holes: `times` (n,) aware UTC, `returns` (n,) log, NaN = missing.

    `volume` (n,) traded per hour and `peers` (n, m) returns of other streams are optional and only explain.
    """

    times: pd.DatetimeIndex
    returns: FloatArray
    volume: FloatArray | None = None
    peers: FloatArray | None = None

    def rows(self, start: int, stop: int) -> HourlyStream:
        part = slice(start, stop)
        return HourlyStream(
            self.times[part],
            self.returns[part],
            None if self.volume is None else self.volume[part],
            None if self.peers is None else self.peers[part],
        )

    def scaled(self, factor: float, first: int) -> HourlyStream:
        """The same stream with all returns from row `first` on multiplied: a planted drift."""
        grown = self.returns.copy()
        grown[first:] *= factor
        return HourlyStream(self.times, grown, self.volume, self.peers)

    @property
    def explained(self) -> bool:
        """Whether anything is there that could explain a rise."""
        return self.volume is not None or (self.peers is not None and self.peers.shape[1] >= MIN_PEERS)


@dataclass(frozen=True)
class VolatilityDetector:
    """Fitted on history alone. `usual`: mean size by hour of the week of each input, (168,) or (m, 168) for peers;
    `mean` (d,), `weights` (d, onsets), `scale` (onsets,) of the block vector; `threshold` of the statistic."""

    usual: Mapping[str, FloatArray]
    mean: FloatArray
    weights: FloatArray
    scale: FloatArray
    threshold: Threshold

    @property
    def companions(self) -> tuple[str, ...]:
        return tuple(sorted(name for name in self.usual if name != "returns"))


def fit(
    history: HourlyStream, per_quarter: float, rng: np.random.Generator, *, explained: bool = False
) -> VolatilityDetector:
    """Detector for what follows `history`, with the threshold of its own block-bootstrapped statistic.

    Parameters
    ----------
    history : quiet past, at least 240 days; a year and more is better
    per_quarter : false alarms a quarter to state
    explained : use volume and peers, as far as they are there

    Raises
    ------
    NotEnoughHistory
        Under 180 days after the first full vector of sixty, or nothing to explain with.
    """
    if explained and not history.explained:
        raise NotEnoughHistory("neither traded volume nor two other streams are there to explain a rise")
    usual = _usual(history, explained)
    blocks = _vectors(history, usual)
    full = np.isfinite(blocks).all(axis=1)
    if full.sum() < FIT_H:
        raise NotEnoughHistory(
            f"{int(full.sum())} full hours are there beyond the first sixty days, {FIT_H} are needed"
        )
    known = blocks[full]
    mean = known.mean(axis=0)
    weights = _contrasts(np.cov(known.T), len(usual))
    # Each onset on the height that it reaches once a quarter, so that none of them spends the alarms of the others.
    score = (known - mean) @ weights
    scale = np.quantile(score, 1.0 - 1.0 / DAYS_A_QUARTER, axis=0)
    path = np.full(len(blocks), np.nan)
    path[full] = (score / scale).max(axis=1)
    threshold = _calibrate(path, per_quarter, rng)
    return VolatilityDetector(usual, mean, weights, scale, threshold)


def statistic(detector: VolatilityDetector, stream: HourlyStream) -> FloatArray:
    """(n,) largest contrast over onsets at each hour, from that hour and the 1440 before it; NaN while they are not
    all there."""
    score = (_vectors(stream, detector.usual) - detector.mean) @ detector.weights
    return np.asarray((score / detector.scale).max(axis=1))


def alarms(detector: VolatilityDetector, stream: HourlyStream) -> NDArray[np.int64]:
    """Rows at which an alarm is raised; it stands, and is not raised again, for two weeks after its last exceedance."""
    return episodes(statistic(detector, stream), detector.threshold.value, REARM_H)


def recalibrated(
    detector: VolatilityDetector, history: HourlyStream, per_quarter: float, rng: np.random.Generator
) -> VolatilityDetector:
    """The same contrasts at another false-alarm rate."""
    threshold = _calibrate(statistic(detector, history), per_quarter, rng)
    return VolatilityDetector(detector.usual, detector.mean, detector.weights, detector.scale, threshold)


def as_document(detector: VolatilityDetector) -> dict[str, object]:
    """JSON-able form; `from_document` gives the same detector back, to the last bit."""
    limit = detector.threshold
    return {
        "usual": {name: values.tolist() for name, values in detector.usual.items()},
        "mean": detector.mean.tolist(),
        "weights": detector.weights.tolist(),
        "scale": detector.scale.tolist(),
        "threshold": [limit.value, limit.per_quarter, limit.observed, limit.quarters],
    }


def from_document(document: Mapping[str, Any]) -> VolatilityDetector:
    """Raises KeyError for a document that is none."""
    return VolatilityDetector(
        {str(name): np.asarray(values, dtype=float) for name, values in document["usual"].items()},
        np.asarray(document["mean"], dtype=float),
        np.asarray(document["weights"], dtype=float),
        np.asarray(document["scale"], dtype=float),
        Threshold(*document["threshold"]),
    )


def _calibrate(path: FloatArray, per_quarter: float, rng: np.random.Generator) -> Threshold:
    return calibrate(daily_maxima(path), DAYS_A_QUARTER, per_quarter, REARM_H // 24, MEAN_BLOCK_DAYS, rng)


def _usual(stream: HourlyStream, explained: bool) -> dict[str, FloatArray]:
    hour = _hour_of_week(stream.times)
    found = {"returns": _by_hour(np.abs(stream.returns), hour)}
    if explained and stream.volume is not None:
        found["volume"] = _by_hour(stream.volume, hour)
    if explained and stream.peers is not None and stream.peers.shape[1] >= MIN_PEERS:
        found["peers"] = np.stack([_by_hour(np.abs(column), hour) for column in stream.peers.T])
    return found


def _hour_of_week(times: pd.DatetimeIndex) -> NDArray[np.int64]:
    return np.asarray(times.day_of_week * 24 + times.hour, dtype=np.int64)


def _by_hour(size: FloatArray, hour: NDArray[np.int64]) -> FloatArray:
    """Mean size (168,) by hour of the week; where an hour was never seen, the mean over all."""
    known = np.isfinite(size)
    count = np.bincount(hour[known], minlength=_HOURS_A_WEEK)
    total = np.bincount(hour[known], weights=size[known], minlength=_HOURS_A_WEEK)
    overall = float(size[known].mean()) if known.any() else math.nan
    if not overall > 0:
        raise NotEnoughHistory("the stream never moved: there is no usual size of a move")
    usual = np.where(count > 0, total / np.maximum(count, 1), overall)
    return np.maximum(usual, _FLOOR * overall)


def _vectors(stream: HourlyStream, usual: Mapping[str, FloatArray]) -> FloatArray:
    """(n, d) block logarithms of every input, one group of blocks after the other."""
    hour = _hour_of_week(stream.times)
    groups = [_blocks(np.abs(stream.returns) / usual["returns"][hour])]
    if "volume" in usual:
        volume = np.full(len(hour), np.nan) if stream.volume is None else stream.volume
        groups.append(_blocks(volume / usual["volume"][hour]))
    if "peers" in usual:
        peers = np.full((len(hour), len(usual["peers"])), np.nan) if stream.peers is None else stream.peers
        each = np.stack([_blocks(np.abs(r) / u[hour]) for r, u in zip(peers.T, usual["peers"], strict=True)])
        groups.append(_median(each))
    return np.hstack(groups)


def _blocks(size: FloatArray) -> FloatArray:
    """(n,) sizes, 1 = usual -> (n, blocks) log means back from each hour; NaN where under 75 % of a block is known."""
    known = np.isfinite(size)
    total = np.concatenate([[0.0], np.cumsum(np.where(known, size, 0.0))])
    count = np.concatenate([[0], np.cumsum(known)])
    n = len(size)
    out = np.full((n, len(EDGES_H) - 1), np.nan)
    for column, (young, old) in enumerate(pairwise(EDGES_H)):
        end = np.arange(old, n + 1)  # rows seen
        hours = count[end - young] - count[end - old]
        mean = np.maximum(total[end - young] - total[end - old], 0.0) / np.maximum(hours, 1)
        out[end - 1, column] = np.where(hours >= MIN_SHARE * (old - young), np.log(mean + _FLOOR), np.nan)
    return out


def _median(each: FloatArray) -> FloatArray:
    """Median over the peers (m, n, blocks) that are known; NaN where fewer than two are."""
    enough = np.isfinite(each).sum(axis=0) >= MIN_PEERS
    out = np.full(each.shape[1:], np.nan)
    out[enough] = np.nanmedian(each[:, enough], axis=0)
    return out


def _contrasts(covariance: FloatArray, groups: int) -> FloatArray:
    """(d, onsets) matched filters P delta / sqrt(delta' P delta); only the first group of blocks moves in a drift."""
    blocks = len(EDGES_H) - 1
    size = float(np.trace(covariance)) / len(covariance)
    padded = covariance + _RIDGE * size * np.eye(len(covariance))
    for group in range(groups):
        level = np.zeros(len(covariance))
        level[group * blocks : (group + 1) * blocks] = 1.0
        padded += _LEVEL * size * np.outer(level, level)
    old = np.array(EDGES_H[1:])
    shapes = np.stack([np.pad((old <= onset).astype(float), (0, len(padded) - blocks)) for onset in ONSETS_H], axis=1)
    filters = np.linalg.solve(padded, shapes)
    return np.asarray(filters / np.sqrt((shapes * filters).sum(axis=0)))
