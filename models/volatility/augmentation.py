"""More training rows of rare market states: blocks of dates drawn again, those more often that begin under stress.

A row is copied, never invented: its inputs are what was known, its outcome is what came. A block is favoured for what
was known on its first date, so no row is favoured for its own outcome, which would bend every forecast towards it.
Off unless a learner is told otherwise: `docs/forecasts.md` says what it brought.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from models.regimes.chain import fit_chain

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MARKET_LEVEL = "market_mean"  # input of the design: standardised log variance, mean of the series of a moment


class Favour(StrEnum):
    """STRESSED: a start is as likely as exp of the market's level. STATES: each volatility state of the market begins
    as many blocks as another."""

    STRESSED = "stressed"
    STATES = "states"


@dataclass(frozen=True, slots=True)
class Augmentation:
    """`share`: rows added, of those there are. `block_dates`: dates of a block, all series together."""

    favour: Favour = Favour.STRESSED
    share: float = 0.5
    block_dates: int = 30
    seed: int = 20


def augmented(
    rows: NDArray[np.float32],
    target: FloatArray,
    moment: NDArray[np.datetime64],
    names: Sequence[str],
    rule: Augmentation | None,
) -> tuple[NDArray[np.float32], FloatArray]:
    """Training rows (n, k) and targets (n,) with copies of some behind them; without a rule, as they came.

    Parameters
    ----------
    rows : inputs named `names`; only rows that the fit may see
    moment : (n,) as-of times
    """
    if rule is None:
        return rows, target
    level = rows[:, list(names).index(MARKET_LEVEL)].astype(np.float64)
    copies = drawn_again(moment, level, rule)
    return np.concatenate([rows, rows[copies]]), np.concatenate([target, target[copies]])


def drawn_again(moment: NDArray[np.datetime64], level: FloatArray, rule: Augmentation) -> IntArray:
    """Positions of the rows of drawn blocks, `share` n of them or a few more; a block ends with the dates.

    Parameters
    ----------
    moment, level : (n,) of each row; a level of NaN is unknown and counts as the usual one, 0
    """
    dates, date_of = np.unique(moment, return_inverse=True)
    known = np.nan_to_num(level)
    by_date = np.bincount(date_of, known) / np.bincount(date_of)
    weights = start_weights(by_date, rule.favour)
    order = np.argsort(date_of, kind="stable")
    first = np.searchsorted(date_of[order], np.arange(len(dates) + 1))
    rng = np.random.Generator(np.random.Philox(rule.seed))
    chosen: list[IntArray] = []
    wanted = int(rule.share * len(moment))
    while sum(map(len, chosen)) < wanted:
        start = int(rng.choice(len(dates), p=weights))
        end = min(start + rule.block_dates, len(dates))
        chosen.append(order[first[start] : first[end]])
    return np.concatenate([np.empty(0, dtype=np.int64), *chosen])


def start_weights(level: FloatArray, favour: Favour) -> FloatArray:
    """Probability of each of (dates,) market levels to begin a block."""
    if favour is Favour.STRESSED:
        weights = np.exp(np.clip(level, -3.0, 3.0))
    else:
        chain = fit_chain(level)
        states = np.zeros(len(level), dtype=np.int64) if chain is None else chain.filtered(level).argmax(axis=1)
        weights = 1.0 / np.bincount(states)[states]
    return np.asarray(weights / weights.sum())
