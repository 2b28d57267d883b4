"""The causal hold rule: a print far from the last good one waits until others agree with it.

Here: verdicts on prints in time order, from what was known at each. How far is far for bars and adverts says
`models.timeseries.suspects`; writing verdicts down is `orchestration.quality.suspects`; the features that leave held
prints out are SQL.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from models.timeseries.limits import DEFAULT_LIMITS, QualityLimits

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


class Verdict(StrEnum):
    OK = "ok"
    HELD = "held"  # not believed: features see the last good print
    CONFIRMING = "confirming"  # the print that makes a new level good; the ones it agrees with were true after all


class Reason(StrEnum):
    """Why a print is held."""

    SCALE = "wrong_scale"  # a factor of two away
    FAR = "far_from_last_good"  # nearer, but too far for a daily rate
    THIN = "thin_market"  # nearer, but hardly anybody stands behind it
    RANGE = "range_far_from_last_good"  # the close is fine, high or low is not


@dataclass(frozen=True, slots=True)
class Judgement:
    """One print: its verdict, the last good rate it was measured against, and how far off it is (natural log).

    `confirms`: positions of the held prints that this one confirms.
    """

    verdict: Verdict
    last_good: float
    log_distance: float
    confirms: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Prints:
    """What the rule looks at, in time order, all (n,): natural logarithms of prices and what applies to each.

    `far`: distance from the last good print beyond which this one is held, `nearby` why if it is no wrong scale.
    `low`, `high`: extremes of a bar, which is held beyond `scale` though its close is fine. `open`: where a bar starts;
    one that starts where the held one before it closed agrees with it, however far it goes: a collapse is a chain of
    such bars. `vouched`: true whatever the distance.
    """

    close: FloatArray
    far: FloatArray
    nearby: Reason
    confirm: float
    confirm_prints: int
    vouched: BoolArray
    low: FloatArray
    high: FloatArray
    open: FloatArray
    scale: float

    def strays(self, t: int | slice, good: float | FloatArray) -> BoolArray:
        """Whether the range at `t` reaches where neither the last good print nor its own close is; NaN does not."""
        above = self.high[t] - np.maximum(good, self.close[t]) > self.scale
        below = np.minimum(good, self.close[t]) - self.low[t] > self.scale
        return np.asarray((above | below) & ~self.vouched[t])

    def since(self, first: int) -> Prints:
        """The prints from `first` on; the ones before were only there to set what is usual."""
        arrays = {name: getattr(self, name)[first:] for name in ("close", "far", "vouched", "low", "high", "open")}
        return replace(self, **arrays)

    def agrees(self, t: int, before: int) -> bool:
        """Whether the print at `t` says the same as the held one at `before`."""
        held = self.close[before]
        return bool(min(abs(self.close[t] - held), np.nan_to_num(abs(self.open[t] - held), nan=np.inf)) <= self.confirm)

    def reason(self, t: int, last_good: float) -> Reason:
        """Why the print at `t`, measured against the rate `last_good`, is held."""
        distance = abs(float(self.close[t]) - float(np.log(last_good)))
        if distance > self.scale:
            return Reason.SCALE
        return self.nearby if distance > self.far[t] else Reason.RANGE


@dataclass(frozen=True, slots=True)
class Screening:
    """Verdicts on all prints at once, (n,): `held`, and the `last_good` rate each was measured against.

    `confirmed`: (held position, position of the print that confirmed it), in time order.
    """

    held: BoolArray
    last_good: FloatArray
    confirmed: tuple[tuple[int, int], ...]


def as_prints(
    rates: FloatArray,
    limits: QualityLimits = DEFAULT_LIMITS,
    *,
    far: FloatArray | None = None,
    nearby: Reason = Reason.FAR,
    confirm: float | None = None,
    low: FloatArray | None = None,
    high: FloatArray | None = None,
    open_: FloatArray | None = None,
    vouched: BoolArray | None = None,
) -> Prints:
    """Prints for `screen`; by default each is judged as a daily rate.

    Raises ValueError for a rate that is NaN or not positive.
    """
    rates = np.asarray(rates, dtype=float)
    if not (np.isfinite(rates) & (rates > 0)).all():
        raise ValueError("rates must be finite and positive: reject the others before judging")
    nothing = np.full(len(rates), np.nan)
    return Prints(
        close=np.log(rates),
        far=np.full(len(rates), limits.held_log_distance) if far is None else far,
        nearby=nearby,
        confirm=limits.confirm_log_distance if confirm is None else confirm,
        confirm_prints=limits.confirm_prints,
        vouched=np.zeros(len(rates), dtype=np.bool_) if vouched is None else vouched,
        low=nothing if low is None else np.log(low),
        high=nothing if high is None else np.log(high),
        open=nothing if open_ is None else np.log(open_),
        scale=limits.scale_log_distance,
    )


def screen(prints: Prints) -> Screening:
    """Judge prints by the sequential rule, walked only where it matters.

    As long as every print is good, each is measured against the one before it: that is one vector operation. From
    the first that is too far, the rule is followed print by print until it is at ease again.
    """
    x = prints.close
    n = len(x)
    before = np.concatenate([x[:1], x[:-1]])
    far = (np.abs(x - before) > prints.far) & ~prints.vouched
    far |= prints.strays(slice(None), before)
    far[:1] = False  # the first print has nothing to be measured against, and its range neither
    held = np.zeros(n, dtype=np.bool_)
    last_good = before.copy()
    confirmed: list[tuple[int, int]] = []
    done = 0  # everything before is judged
    for start in np.flatnonzero(far).tolist():
        if start < done:
            continue
        for t, judged in enumerate(_walk(prints, start, float(before[start])), start):
            done, last_good[t] = t + 1, judged.reference
            held[t] = judged.verdict is Verdict.HELD
            confirmed += [(i, t) for i in judged.confirms]
            if judged.at_ease:
                break
    return Screening(held, np.exp(last_good), tuple(confirmed))


def judge(
    rates: FloatArray,
    limits: QualityLimits = DEFAULT_LIMITS,
    *,
    last_good: float | None = None,
    second: FloatArray | None = None,
    accepted: BoolArray | None = None,
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
    vouched = np.zeros(len(rates), dtype=np.bool_) if accepted is None else accepted
    if second is not None:
        vouched = vouched | (np.abs(np.log(rates) - np.log(second)) <= limits.confirm_log_distance)
    prints = as_prints(rates, limits, vouched=vouched)
    if not len(prints.close):
        return []
    good = float(prints.close[0]) if last_good is None else float(np.log(last_good))
    return [
        Judgement(step.verdict, float(np.exp(step.reference)), float(value - step.reference), step.confirms)
        for value, step in zip(prints.close, _walk(prints, 0, good), strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Step:
    verdict: Verdict
    reference: float  # log of the last good print
    confirms: tuple[int, ...]
    at_ease: bool  # nothing waits to be confirmed: the next print is measured against this one


def _walk(prints: Prints, start: int, good: float) -> Iterator[_Step]:
    """The rule itself, print by print from `start` on; `good`: log of the last good print before."""
    x = prints.close
    run: list[int] = []  # held prints that agree, each with the one before it
    for t in range(start, len(x)):
        value, reference = float(x[t]), good
        confirms: tuple[int, ...] = ()
        if abs(value - good) <= prints.far[t] or prints.vouched[t]:
            verdict = Verdict.HELD if prints.strays(t, good) else Verdict.OK
            good, run = value, []
        else:
            joins = bool(run) and prints.agrees(t, run[-1])
            run = [*run, t] if joins else [t]
            verdict = Verdict.HELD
            if len(run) >= prints.confirm_prints:
                verdict, confirms = Verdict.CONFIRMING, tuple(run[:-1])
                good, run = value, []
        yield _Step(verdict, reference, confirms, at_ease=not run)


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
