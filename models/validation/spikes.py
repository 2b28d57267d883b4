"""How good spike probabilities are: ranking, skill, calibration. NaN must be removed before."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from models.contracts.horizons import SPIKE_BASE_RATE

FloatArray = NDArray[np.float64]


def area_under_roc(outcome: FloatArray, probability: FloatArray) -> float:
    """Chance that a spike gets a higher probability than a calm day, ties half; NaN with one class only."""
    spikes = float(outcome.sum())
    calm = len(outcome) - spikes
    if not spikes or not calm:
        return math.nan
    ranks = stats.rankdata(probability)
    return float((ranks[outcome == 1].sum() - spikes * (spikes + 1) / 2) / (spikes * calm))


def brier_skill(outcome: FloatArray, probability: FloatArray, base: float = SPIKE_BASE_RATE) -> float:
    """1 - Brier score / Brier score of always saying `base`."""
    reference = float(((base - outcome) ** 2).mean())
    return 1.0 - float(((probability - outcome) ** 2).mean()) / reference


def reliability(outcome: FloatArray, probability: FloatArray, bins: int = 10) -> FloatArray:
    """(bins, 3) of share of rows, mean probability and spike frequency by quantile of the probability.

    Rows of empty bins are dropped.
    """
    edges = np.quantile(probability, np.linspace(0.0, 1.0, bins + 1)[1:-1])
    index = np.searchsorted(edges, probability, side="right")
    rows = [
        ((index == k).mean(), probability[index == k].mean(), outcome[index == k].mean())
        for k in range(bins)
        if (index == k).any()
    ]
    return np.array(rows)


def expected_calibration_error(outcome: FloatArray, probability: FloatArray, bins: int = 10) -> float:
    """Mean distance between promised and seen frequency over the bins of `reliability`."""
    table = reliability(outcome, probability, bins)
    return float((table[:, 0] * np.abs(table[:, 1] - table[:, 2])).sum())
