"""How old a champion may become. Pure: the market's clock comes in.

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
    """`degraded`: age of the training data, by the market's clock, beyond which a number is trusted less. `refused`:
    how far beyond its training data a model may be asked at all."""

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


def is_expired(kind: SeriesKind, trained_until: datetime, now: datetime) -> bool:
    """Whether a model trained on data until `trained_until` is older than allowed at market time `now` (aware)."""
    return now - trained_until > MAX_AGE[kind].degraded


def expiry(kind: SeriesKind, trained_until: datetime, as_of: datetime, now: datetime) -> tuple[ScoreStatus, str] | None:
    """What the age of a model makes of a number about `as_of`, and why; None while it is young enough.

    Too old by the market's clock is `degraded`. Asked about a day too far beyond its data it gives no number
    (`stale`); a feed that has ended does not make it so, because `as_of` stands still with it.
    """
    allowed = MAX_AGE[kind]
    told = f"{MODEL_EXPIRED}: trained on data until {trained_until:%Y-%m-%d}"
    if as_of - trained_until > allowed.refused:
        return ScoreStatus.STALE, f"{told}, more than {allowed.refused.days} days before what is asked"
    if is_expired(kind, trained_until, now):
        return ScoreStatus.DEGRADED, f"{told}, {(now - trained_until).days} days ago ({allowed.degraded.days} allowed)"
    return None
