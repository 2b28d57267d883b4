"""Vocabulary of regimes: the states that a series can be in, and the two ways to tell them.

Here: names and the order of the states. How a state is found is in the neighbouring modules.
"""

from __future__ import annotations

from enum import StrEnum


class VolatilityRegime(StrEnum):
    """In order of the level of variance."""

    CALM = "calm"
    NORMAL = "normal"
    STRESSED = "stressed"


class Trend(StrEnum):
    DOWN = "down"
    FLAT = "flat"
    UP = "up"


class Method(StrEnum):
    """HMM speaks; RULE is the twin without parameters that anybody can recompute by hand, to hold it against."""

    HMM = "hmm"
    RULE = "rule"


VOLATILITY_REGIMES = tuple(VolatilityRegime)
NO_STATE = -1  # position of "no label" beside the positions of VOLATILITY_REGIMES
