"""Answers about what a score is to be believed by: its record, the premium of the street, gaps of the data."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from serving.schemas import Market

GapStatus = Literal["open", "fixed", "absent_at_source"]

_MARKET: dict[str, Any] = {"name": "simulated", "data_mode": "simulated", "time": "2026-01-01T00:30:00Z"}
_BIN: dict[str, Any] = {"rows": 120, "promised": 0.16, "seen": 0.175, "low": 0.118, "high": 0.252}
_DAY: dict[str, Any] = {
    "origin": "2025-12-30", "as_of": "2025-12-31T00:00:00Z", "score": 62.4, "p_spike": 0.156, "sigma_day": 0.025,
    "realised_day": 0.031, "spike": True,
}  # fmt: skip
_RECORD: dict[str, Any] = {
    "market": _MARKET, "subject": "BTC", "horizon_days": 1, "evaluation_id": "candles-h1-9a1b6c2d", "rows": 1200,
    "spikes": 131, "ece": 0.014, "brier_skill": 0.11, "reason": None, "bins": [_BIN], "days": [_DAY],
}  # fmt: skip
_PREMIUM: dict[str, Any] = {
    "series": "USDTNGN:street", "base": "USDT", "quote": "NGN", "ts": "2026-01-01T00:00:00Z", "observed": True,
    "street_rate": 1585.0, "official_series": "USDNGN:official", "official_rate": 1530.0, "official_day": "2025-12-31",
    "premium": 0.0353, "official_age_h": 24.0, "official_stale": False, "source_state": "free", "capped": False,
    "flagged": False, "offers": 20, "age_s": 1800, "max_age_s": 7200, "stale": False,
}  # fmt: skip
_PREMIUM_DAY: dict[str, Any] = {
    "day": "2025-12-31", "street_rate": 1585.0, "official_rate": 1530.0, "premium": 0.0353, "source_state": "free",
    "capped": False, "official_stale": False,
}  # fmt: skip
_GAP: dict[str, Any] = {
    "dataset": "candles", "series": "BTC", "interval": "1h", "gap_start": "2025-12-30T03:00:00Z",
    "gap_end": "2025-12-30T07:00:00Z", "missing_slots": 4, "status": "open", "detected_at": "2025-12-30T08:00:00Z",
    "checked_at": "2026-01-01T00:00:00Z", "rows_added": 0,
}  # fmt: skip


def _shown(example: dict[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class ReliabilityBin(BaseModel):
    """Forecasts of one range of probabilities; all ranges hold about as many."""

    model_config = _shown(_BIN)

    rows: int
    promised: float = Field(description="Mean probability that was said, 0-1")
    seen: float = Field(description="How often a spike followed, 0-1")
    low: float = Field(description="Lower end of the 95 % interval of `seen`; rather too narrow, as spikes cluster")
    high: float = Field(description="Upper end of it")


class RecordDay(BaseModel):
    """One out-of-sample forecast and what followed."""

    model_config = _shown(_DAY)

    origin: date = Field(description="Day whose close ends the information")
    as_of: datetime
    score: float | None
    p_spike: float | None
    sigma_day: float | None = Field(description="Forecast volatility a day, fraction")
    realised_day: float | None = Field(description="Volatility a day that followed, fraction; null while it is open")
    spike: bool | None = Field(
        description="Whether the variance that followed was above the threshold known then; null while open, or "
        "without a year of stored outcomes before it"
    )


class TrackRecord(BaseModel):
    """What would have been published of walk-forward forecasts, without hindsight, and what followed."""

    model_config = _shown(_RECORD)

    market: Market
    subject: str
    horizon_days: int
    evaluation_id: str
    rows: int = Field(description="Forecasts whose outcome is known, of all years")
    spikes: int = Field(description="How many of them were followed by a spike")
    ece: float | None = Field(description="Expected calibration error: mean distance of promised and seen, 0-1")
    brier_skill: float | None = Field(description="Against always saying the usual rate; 1 perfect, 0 no better")
    reason: str | None = Field(default=None, description="Why figures are lacking; null where they are not")
    bins: list[ReliabilityBin] = Field(description="By rising probability; empty where figures are lacking")
    days: list[RecordDay] = Field(description="Newest first, as many as `days` asks for")


class StreetPremium(BaseModel):
    """A street rate beside the official rate that was known at that moment."""

    model_config = _shown(_PREMIUM)

    series: str
    base: str
    quote: str
    ts: datetime
    observed: bool = Field(description="False: no believed print stands behind the newest row, so both lack")
    street_rate: float | None = Field(description="Quote per base")
    official_series: str | None
    official_rate: float | None = Field(description="Quote per base")
    official_day: date | None
    premium: float | None = Field(description="ln of the street rate over the official one")
    official_age_h: float | None
    official_stale: bool
    source_state: str | None = Field(description="free, capped (a censored price, not a calm one), delisted or closed")
    capped: bool | None
    flagged: bool | None
    offers: int | None
    age_s: int = Field(description="Market seconds since the newest row could be known")
    max_age_s: int
    stale: bool = Field(description="Older than `max_age_s`")


class Premiums(BaseModel):
    """Newest premium of each street series."""

    model_config = _shown({"market": _MARKET, "premiums": [_PREMIUM]})

    market: Market
    premiums: list[StreetPremium]


class PremiumDay(BaseModel):
    """Last print of a day; rates and premium lack where none was believed."""

    model_config = _shown(_PREMIUM_DAY)

    day: date
    street_rate: float | None
    official_rate: float | None
    premium: float | None
    source_state: str | None
    capped: bool | None
    official_stale: bool


class PremiumHistory(BaseModel):
    model_config = _shown({"market": _MARKET, "series": "USDTNGN:street", "days": [_PREMIUM_DAY]})

    market: Market
    series: str
    days: list[PremiumDay] = Field(description="Newest first")


class Gap(BaseModel):
    """Slots of a series that its calendar has and the data lacks, or lacked."""

    model_config = _shown(_GAP)

    dataset: str
    series: str
    interval: str
    gap_start: datetime = Field(description="First missing slot")
    gap_end: datetime = Field(description="End of the last missing slot, exclusive")
    missing_slots: int
    status: GapStatus = Field(description="`absent_at_source`: the provider has no such rows; `fixed`: filled since")
    detected_at: datetime
    checked_at: datetime
    rows_added: int


class Gaps(BaseModel):
    model_config = _shown({"market": _MARKET, "total": 1, "gaps": [_GAP]})

    market: Market
    total: int = Field(description="Of all that were asked for; `gaps` has at most `limit` of them")
    gaps: list[Gap] = Field(description="Newest first")
