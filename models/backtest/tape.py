"""Scores as they came to be known: which one was the newest at a moment.

A score counts from the later of its `as_of` and its `issued_at`. The newest is the one that the pipeline would have
served: the latest `as_of`, of equal ones the last issued.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.backtest.bars import microseconds
from models.contracts.score import Score, ScoreStatus

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


class ScoreTape:
    """Scores of one subject in the order in which they could be known, and the same as columns.

    Attributes
    ----------
    scores : (m,) sorted by the moment from which each was known.
    known_us : (m,) that moment, microseconds since 1970.
    as_of_us, valid_until_us : (m,) microseconds since 1970.
    value, sigma_ann : (m,) score and forecast volatility; NaN = no number.
    sound : (m,) status that lets it be acted on.
    share_imputed : (m,)
    """

    def __init__(self, scores: Sequence[Score]) -> None:
        known = [microseconds(max(score.issued_at, score.as_of)) for score in scores]
        order = sorted(range(len(scores)), key=lambda i: (known[i], scores[i].as_of))  # stable: equal ones as given
        self.scores = tuple(scores[i] for i in order)
        self.known_us = np.array([known[i] for i in order], dtype=np.int64)
        self.as_of_us = np.array([microseconds(score.as_of) for score in self.scores], dtype=np.int64)
        self.valid_until_us = np.array([microseconds(score.valid_until) for score in self.scores], dtype=np.int64)
        self.value = _numbers([score.score for score in self.scores])
        self.sigma_ann = _numbers([score.sigma_ann for score in self.scores])
        self.share_imputed = _numbers([score.share_imputed for score in self.scores])
        unsound = (ScoreStatus.STALE, ScoreStatus.DEGRADED)
        self.sound: BoolArray = np.array([score.status not in unsound for score in self.scores], dtype=np.bool_)
        self._newest = _running_newest(self.as_of_us)

    def __len__(self) -> int:
        return len(self.scores)

    def positions(self, times_us: IntArray) -> IntArray:
        """(n,) position in `scores` of the newest one known at each moment; -1 before the first."""
        if not len(self):
            return np.full(len(times_us), -1, dtype=np.int64)
        seen = np.searchsorted(self.known_us, times_us, side="right") - 1
        return np.where(seen >= 0, self._newest[np.maximum(seen, 0)], -1)


def _running_newest(as_of_us: IntArray) -> IntArray:
    out = np.zeros(len(as_of_us), dtype=np.int64)
    for i in range(1, len(out)):
        out[i] = i if as_of_us[i] >= as_of_us[out[i - 1]] else out[i - 1]
    return out


def _numbers(values: Sequence[float | None]) -> FloatArray:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
