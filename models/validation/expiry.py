"""How far beyond its training data a champion may be asked. Pure.

Its figures come from a walk-forward that fits anew at every refit step; a model that is older than that step is one
that nobody has tested, whatever its version was promoted with.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from models.contracts.market import SeriesKind
from models.contracts.score import ScoreStatus

MODEL_EXPIRED = "model_expired"


@dataclass(frozen=True, slots=True)
class MaxAge:
    """How far beyond its training data a model is asked with less trust (`degraded`), and no longer (`refused`)."""

    degraded: timedelta
    refused: timedelta


# Coins and vaults are refitted every 28 days in the walk-forward, rates every 21 business days (29 to 31 calendar
# days): one step and a week (rates: two weeks, for holidays) to notice that training has stopped. Beyond twice that no
# forecast of the evaluation was ever made that far from its fit by a model of one series.
_DAILY = MaxAge(timedelta(days=35), timedelta(days=70))
_RATES = MaxAge(timedelta(days=45), timedelta(days=90))
MAX_AGE: dict[SeriesKind, MaxAge] = {
    SeriesKind.CANDLES: _DAILY,
    SeriesKind.VAULT: _DAILY,
    SeriesKind.RANGES: _RATES,
    SeriesKind.FIXINGS: _RATES,
}


def is_expired(kind: SeriesKind, trained_until: datetime, as_of: datetime) -> bool:
    """Whether a model trained on data until `trained_until` is too old for data of `as_of` (aware)."""
    return as_of - trained_until > MAX_AGE[kind].degraded


def expiry(kind: SeriesKind, trained_until: datetime, as_of: datetime) -> tuple[ScoreStatus, str] | None:
    """What the age of a model makes of a number about `as_of`, and why; None while it is young enough.

    The data's clock counts, not the market's: a feed that has ended ages the score, which expires, not the model.
    """
    allowed = MAX_AGE[kind]
    told = f"{MODEL_EXPIRED}: trained on data until {trained_until:%Y-%m-%d}"
    if as_of - trained_until > allowed.refused:
        return ScoreStatus.STALE, f"{told}, more than {allowed.refused.days} days before what is asked"
    if is_expired(kind, trained_until, as_of):
        beyond = (as_of - trained_until).days
        return ScoreStatus.DEGRADED, f"{told}, {beyond} days before what is asked ({allowed.degraded.days} allowed)"
    return None
