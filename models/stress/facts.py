"""Stylised facts of a sample beside those of paths of the generator that was fitted to it, stored with each run.

A small check and not the study of docs/stress.md: five facts of each asset and one of the pairs, on the newest rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.stress.generator import PathGenerator

FloatArray = NDArray[np.float64]

CHECK_ROWS = 2_048
CHECK_PATHS = 100
INSIDE = 0.95
LAGS, NEAR, LEVERAGE_LAGS = 50, 10, 10


@dataclass(frozen=True, slots=True)
class Fact:
    """`sample` of the recorded returns; `low`, `median`, `high` of the paths; `matches`: the sample lies between."""

    sample: float
    low: float
    median: float
    high: float
    matches: bool


@dataclass(frozen=True, slots=True)
class FactCheck:
    """`facts`: asset (or `pairs`) -> name -> fact. `rows` of the sample and of each of `paths` paths; `matched` of
    `total` facts."""

    rows: int
    paths: int
    matched: int
    total: int
    facts: Mapping[str, Mapping[str, Fact]]


def check_facts(generator: PathGenerator, returns: FloatArray, names: tuple[str, ...], seed: int) -> FactCheck:
    """Facts of the newest 2,048 usable rows and of 100 paths of as many steps.

    Parameters
    ----------
    generator : fitted to `returns`
    returns : (n, assets) log returns a step, oldest first; rows with a missing value are left out, neighbours joined
    names : of the assets

    Notes
    -----
    Excess kurtosis; autocorrelation of absolute returns, mean over lags 1 to 10 and 11 to 50; leverage: correlation of
    a return with the mean square of the next ten; standard deviation. Of the pairs: mean correlation. A path begins in
    the present and may be calmer or wilder than the sample for some weeks: that counts against it here. About one fact
    in twenty is outside by chance.
    """
    rows = returns[np.isfinite(returns).all(axis=1)][-CHECK_ROWS:]
    drawn = generator.paths(CHECK_PATHS, len(rows), seed)
    own, theirs = facts_of(rows[None]), facts_of(drawn)
    facts: dict[str, dict[str, Fact]] = {
        asset: {name: _fact(float(own[name][0, i]), theirs[name][:, i]) for name in own if name != "correlation"}
        for i, asset in enumerate(names)
    }
    if len(names) > 1:
        facts["pairs"] = {"correlation": _fact(float(own["correlation"][0, 0]), theirs["correlation"][:, 0])}
    all_facts = [fact for each in facts.values() for fact in each.values()]
    return FactCheck(len(rows), CHECK_PATHS, sum(fact.matches for fact in all_facts), len(all_facts), facts)


def facts_of(paths: FloatArray) -> dict[str, FloatArray]:
    """(paths, steps, assets) log returns -> name -> (paths, assets); `correlation` (paths, 1), the mean of the pairs, 0
    of one asset."""
    centred = paths - paths.mean(axis=1, keepdims=True)
    variance = (centred**2).mean(axis=1)
    memory = autocorrelations(np.abs(paths), LAGS)
    ahead = np.lib.stride_tricks.sliding_window_view(paths[:, 1:] ** 2, LEVERAGE_LAGS, axis=1).mean(axis=-1)
    return {
        "sd": np.sqrt(variance),
        "excess_kurtosis": _over((centred**4).mean(axis=1), variance**2) - 3.0,
        "acf_abs_1_10": memory[:, :NEAR].mean(axis=1),
        "acf_abs_11_50": memory[:, NEAR:].mean(axis=1),
        "leverage": _correlation(paths[:, : ahead.shape[1]], ahead),
        "correlation": _mean_pair(centred / np.sqrt(np.where(variance > 0.0, variance, 1.0))[:, None]),
    }


def autocorrelations(series: FloatArray, lags: int) -> FloatArray:
    """(paths, steps, assets) -> (paths, lags, assets) at lags 1, 2, ...; 0 where nothing moves."""
    steps = series.shape[1]
    centred = series - series.mean(axis=1, keepdims=True)
    spectrum = np.fft.rfft(centred, 2 * steps, axis=1)
    products = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, 2 * steps, axis=1)
    return _over(products[:, 1 : lags + 1], products[:, :1])


def _correlation(one: FloatArray, other: FloatArray) -> FloatArray:
    one, other = (x - x.mean(axis=1, keepdims=True) for x in (one, other))
    return _over((one * other).mean(axis=1), np.sqrt((one**2).mean(axis=1) * (other**2).mean(axis=1)))


def _mean_pair(unit: FloatArray) -> FloatArray:
    assets = unit.shape[2]
    if assets == 1:
        return np.zeros((len(unit), 1))
    together = (unit.sum(axis=2) ** 2).mean(axis=1) - (unit**2).sum(axis=2).mean(axis=1)
    return np.asarray(together / (assets * (assets - 1)))[:, None]


def _over(above: FloatArray, below: FloatArray) -> FloatArray:
    return np.divide(above, below, out=np.zeros(np.broadcast(above, below).shape), where=below > 0.0)


def _fact(sample: float, paths: FloatArray) -> Fact:
    tail = (1.0 - INSIDE) / 2.0
    low, median, high = (float(np.quantile(paths, q)) for q in (tail, 0.5, 1.0 - tail))
    return Fact(sample, low, median, high, low <= sample <= high)
