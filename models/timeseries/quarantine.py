"""The causal hold rule for published rates: a print far from the last good one waits until others agree with it.

Here: verdicts on prints in time order, from what was known at each. Writing them down is
`orchestration.quality.hold_suspects`; the features that leave held prints out are SQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from models.timeseries.limits import DEFAULT_LIMITS, QualityLimits

FloatArray = NDArray[np.float64]


class Verdict(StrEnum):
    OK = "ok"
    HELD = "held"  # not believed: features see the last good print
    CONFIRMING = "confirming"  # the print that makes a new level good; the ones it agrees with were true after all


@dataclass(frozen=True, slots=True)
class Judgement:
    """One print: its verdict, the last good rate it was measured against, and how far off it is (natural log).

    `confirms`: positions of the held prints that this one confirms.
    """

    verdict: Verdict
    last_good: float
    log_distance: float
    confirms: tuple[int, ...] = ()


def judge(
    rates: FloatArray,
    limits: QualityLimits = DEFAULT_LIMITS,
    *,
    last_good: float | None = None,
    second: FloatArray | None = None,
    accepted: NDArray[np.bool_] | None = None,
) -> list[Judgement]:
    """Judge each print from the ones before it.

    Parameters
    ----------
    rates
        Rates (n,) in time order, positive.
    last_good
        The last good rate before the first one; None: the first print is taken as good.
    second
        Another source's rate of the same moment (n,), NaN where it has none. A print it agrees with is not held.

    accepted
        Prints (n,) that a human declared true: they are good however far off.

    Returns
    -------
    One judgement a print. Raises ValueError for a rate that is NaN or not positive.
    """
    rates = np.asarray(rates, dtype=float)
    if not (np.isfinite(rates) & (rates > 0)).all():
        raise ValueError("rates must be finite and positive: reject the others before judging")
    x = np.log(rates)
    other = np.full(len(x), np.nan) if second is None else np.log(np.asarray(second, dtype=float))
    good = None if last_good is None else float(np.log(last_good))
    run: list[int] = []  # held prints that agree, each with the one before it
    out: list[Judgement] = []
    for t, value in enumerate(x):
        reference = value if good is None else good
        distance = float(value - reference)
        confirms: tuple[int, ...] = ()
        agrees = (accepted is not None and bool(accepted[t])) or abs(value - other[t]) <= limits.confirm_log_distance
        if abs(distance) <= limits.held_log_distance or agrees:
            good, run, verdict = float(value), [], Verdict.OK
        else:
            joins = bool(run) and abs(value - x[run[-1]]) <= limits.confirm_log_distance
            run = [*run, t] if joins else [t]
            if len(run) >= limits.confirm_prints:
                verdict, confirms = Verdict.CONFIRMING, tuple(run[:-1])
                good, run = float(value), []
            else:
                verdict = Verdict.HELD
        out.append(Judgement(verdict, float(np.exp(reference)), distance, confirms))
    return out


def good_rates(rates: FloatArray, judgements: list[Judgement]) -> FloatArray:
    """The rates (n,) as features see them: a held print gives way to the last good one."""
    held = [j.verdict is Verdict.HELD for j in judgements]
    return np.where(held, [j.last_good for j in judgements], rates)


def unchanged_share(rates: FloatArray, limits: QualityLimits = DEFAULT_LIMITS) -> FloatArray:
    """Share of unchanged rates among the last `managed_window` observations (n,), NaN before the window is full."""
    rates = np.asarray(rates, dtype=float)
    out = np.full(len(rates), np.nan)
    width = limits.managed_window
    if len(rates) > width:
        same = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(np.log(rates))) < 1e-9)])
        out[width:] = (same[width:] - same[:-width]) / width
    return out
