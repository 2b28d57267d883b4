"""Vocabulary of forecasts and scores: the record that scoring writes, serving shows and the keeper reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from models.contracts.market import DataMode

PUBLISHED = "champion"  # model name in ml.walk_forward of what the gate would have published at each origin


class Role(StrEnum):
    """Why a forecast was issued. Only the champion's is served; the others are said in shadow, to be judged later."""

    CHAMPION = "champion"
    BASELINE = "baseline"  # the best baseline of the champion's own evaluation
    CHALLENGER = "challenger"  # runner-up of that evaluation, or the version that waits after a rollback


class Rung(StrEnum):
    """Who made a score: the ladder that is climbed down while something is missing."""

    CHAMPION = "champion"
    BASELINE = "baseline"  # by the ledger, or because the champion's files cannot be read
    NONE = "none"  # there is no number


class ScoreStatus(StrEnum):
    """Why a number is or is not there. Only OK and DEGRADED carry a score."""

    OK = "ok"
    DEGRADED = "degraded"  # a number with a reason to trust it less
    QUARANTINED = "quarantined"  # the newest print is held: no number
    MANAGED = "managed"  # the rate stood still on over 20 % of the last 22 observations: no number
    INSUFFICIENT_DATA = "insufficient_data"  # says required, received and the earliest date that suffices
    STALE = "stale"  # last observation, or the model for it, older than allowed: no fresh number


@dataclass(frozen=True, slots=True)
class Driver:
    """One additive term of a forecast on the log-variance scale."""

    name: str
    value: float
    contribution: float


@dataclass(frozen=True, slots=True)
class Score:
    """VolatilityScore of one series or vault at one moment for one horizon.

    `score` 0-100, 50 = usual spike risk (p = 0.10), 80 = four times the usual odds. `p_spike`: calibrated
    probability that mean variance of the next `horizon_days` exceeds the 90 % quantile of the last year.
    `rv_forecast`: variance a day. `sigma_ann`: annualised volatility, fraction. `var99`, `es99`: one-day loss in
    log-return units, positive. `rv_low` to `rv_high`: interval that holds the realised variance a day with 80 %.
    `confidence` 0-1: how far the inputs are to be trusted (`models.volatility.confidence`). Shares are fractions of the
    inputs. None = no number, `status` says why.
    """

    subject: str  # series id, or "vault:<id>"
    horizon_days: int
    as_of: datetime  # close of the newest bar or fixing used
    issued_at: datetime  # market clock when scored
    valid_until: datetime
    status: ScoreStatus
    reasons: tuple[str, ...]
    score: float | None
    p_spike: float | None
    rv_forecast: float | None
    sigma_ann: float | None
    var99: float | None
    es99: float | None
    model_name: str
    model_version: str
    data_mode: DataMode
    share_imputed: float
    share_stale: float
    drivers: tuple[Driver, ...] = field(default=())
    rv_low: float | None = None
    rv_high: float | None = None
    confidence: float | None = None
