"""Confidence in a score, 0 to 1: how complete, fresh, familiar and confirmed its inputs are.

A product of shares that are measured, so that one poor side cannot be made up by another. It says nothing of how
volatile the market is, and it is no probability: a score of 90 with a confidence of 0.5 is a high score that rests on
half of what it should.
"""

from __future__ import annotations

ONE_SOURCE = 0.9  # expert weight: prints that nobody else confirms are caught later when they are wrong


def confidence(share_imputed: float, share_stale: float, familiarity: float, sources: int) -> float:
    """(1 - share_imputed) (1 - share_stale) familiarity, times 0.9 where a single source printed all inputs.

    Parameters
    ----------
    share_imputed, share_stale : 0-1, shares of the inputs
    familiarity : of `models.volatility.novelty`, in (0, 1]
    sources : sources behind the inputs of the weakest leg, 1 or more

    Raises
    ------
    ValueError
        A share or the familiarity lies outside 0 to 1, or there is no source.
    """
    for name, value in (("share_imputed", share_imputed), ("share_stale", share_stale), ("familiarity", familiarity)):
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"{name} is {value}: it must lie between 0 and 1")
    if sources < 1:
        raise ValueError(f"sources is {sources}: a score rests on at least one")
    return (1.0 - share_imputed) * (1.0 - share_stale) * familiarity * (ONE_SOURCE if sources == 1 else 1.0)
