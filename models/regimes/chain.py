"""The three-state chain of ln variance: its parameters, how they are fitted, what it says of each day.

Days of one state resemble each other: beyond its state, ln variance keeps an autocorrelation of about 0.4 from day to
day (0.36 to 0.49 on seven coins), so n days say as much as 0.4 n independent ones. A filter that took them for
independent would be too sure too soon and change its mind each week: a day counts for half (`EVIDENCE`). The spread
is common to all states: then a wilder day never makes the stressed state less likely, and states that are ordered by
their means are ordered everywhere.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.regimes.hidden_chain import em_step, filter_chain
from models.regimes.sample import MIN_DAYS
from models.regimes.states import VOLATILITY_REGIMES

FloatArray = NDArray[np.float64]

METHOD_VERSION = "hmm1"  # changes with any rule of this file
STATES = len(VOLATILITY_REGIMES)
EVIDENCE = 0.5
STAY_DAYS = 30.0  # prior: a state lasts a month ...
PRIOR_DAYS = 365.0  # ... as if each had been watched for a year before the data
LEVEL_DAYS = 5.0  # prior days of every state at the mean of all: a state without days stays where days are
WINSOR = 0.025  # one wick, or one day on which a rate stood still, is a high or a low day and not a state of its own
MIN_OBSERVED = STATES * MIN_DAYS  # days a fit must rest on
MIN_SPREAD = 0.05
MAX_STEPS = 200
TOLERANCE = 1e-7  # of the log posterior, per day


@dataclass(frozen=True, slots=True)
class Chain:
    """Parameters of one fit, frozen until the next. States are in the order of `VOLATILITY_REGIMES`.

    `mean`, `spread`: of ln variance a day. `move`: row i holds the probabilities of tomorrow's state if today's is i.
    `lowest`, `highest`: ln variance is taken to lie between them. `days`: observations that the fit rests on.
    """

    mean: tuple[float, ...]
    spread: float
    move: tuple[tuple[float, ...], ...]
    lowest: float
    highest: float
    days: int

    def filtered(self, log_variance: FloatArray) -> FloatArray:
        """(n, 3) probability of each state on each day given the days up to it; NaN days carry the prediction."""
        x = np.clip(log_variance, self.lowest, self.highest)
        start = np.full(STATES, 1.0 / STATES)
        probabilities, _ = filter_chain(x, start, np.array(self.move), np.array(self.mean), self.spread, EVIDENCE)
        return probabilities

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON; `of_dict` gives the same chain back, bit for bit."""
        return {
            "mean": list(self.mean), "spread": self.spread, "move": [list(row) for row in self.move],
            "lowest": self.lowest, "highest": self.highest, "days": self.days,
        }  # fmt: skip

    @staticmethod
    def of_dict(values: dict[str, Any]) -> Chain:
        return Chain(
            tuple(float(v) for v in values["mean"]),
            float(values["spread"]),
            tuple(tuple(float(v) for v in row) for row in values["move"]),
            float(values["lowest"]),
            float(values["highest"]),
            int(values["days"]),
        )

    def version(self, fitted_at: np.datetime64) -> str:
        """Name of these parameters: method, day of the fit, digest of the numbers."""
        digest = hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()[:8]
        return f"{METHOD_VERSION}-{str(fitted_at.astype('datetime64[D]')).replace('-', '')}-{digest}"


def fit_chain(log_variance: FloatArray) -> Chain | None:
    """Chain fitted to (n,) ln variances a day, NaN = missing; None below `MIN_OBSERVED` of them.

    Notes
    -----
    Expectation-maximisation (Baum et al. 1970) to the mode of the posterior, from the thirds of the data: no draw of
    chance, the same data give the same numbers.
    """
    seen = log_variance[np.isfinite(log_variance)]
    if len(seen) < MIN_OBSERVED:
        return None
    lowest, highest = (float(np.quantile(seen, q)) for q in (WINSOR, 1.0 - WINSOR))
    x, values = np.clip(log_variance, lowest, highest), np.clip(seen, lowest, highest)
    centre, spread = float(values.mean()), max(float(values.std()), MIN_SPREAD)
    thirds = np.array_split(np.sort(values), STATES)
    mean = np.array([float(part.mean()) for part in thirds])
    sd = max(math.sqrt(np.mean([float(part.var()) for part in thirds])), MIN_SPREAD)
    start, prior = np.full(STATES, 1.0 / STATES), _prior_moves()
    move, last = prior / prior.sum(axis=1, keepdims=True), -math.inf
    for _ in range(MAX_STEPS):
        stepped, new_mean, new_sd, value = em_step(
            x, start, move, mean, sd, EVIDENCE, prior, centre, spread, LEVEL_DAYS
        )
        if value - last < TOLERANCE * len(seen):
            break
        last, move, mean, sd = value, stepped, new_mean, max(new_sd, MIN_SPREAD)
    order = np.argsort(mean, kind="stable")
    return Chain(
        tuple(mean[order].tolist()),
        float(sd),
        tuple(tuple(row) for row in move[np.ix_(order, order)].tolist()),
        lowest,
        highest,
        len(seen),
    )


def _prior_moves() -> FloatArray:
    leave = PRIOR_DAYS / STAY_DAYS
    moves = np.full((STATES, STATES), leave / (STATES - 1))
    np.fill_diagonal(moves, PRIOR_DAYS - leave)
    return moves
