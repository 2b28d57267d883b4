"""Answer models of the API: field names, units and meaning as the OpenAPI document shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from serving.degradation import EXAMPLE as _EXAMPLE_DEGRADATION
from serving.degradation import Degradation

_EXAMPLE_SCORE: dict[str, Any] = {
    "subject": "BTC",
    "subject_kind": "series",
    "horizon_days": 1,
    "score": 62.4,
    "p_spike": 0.156,
    "sigma_ann": 0.48,
    "rv_forecast": 0.00063,
    "var99": 0.071,
    "es99": 0.094,
    "rv_low": 0.00031,
    "rv_high": 0.00119,
    "confidence": 0.9,
    "status": "ok",
    "degraded": False,
    "reasons": [],
    "stale": False,
    "as_of": "2026-01-01T00:00:00Z",
    "issued_at": "2026-01-01T00:00:00Z",
    "valid_until": "2026-01-01T02:00:00Z",
    "age_s": 0,
    "model_name": "volatility-candles-h1",
    "model_version": "3",
    "data_mode": "simulated",
    "share_imputed": 0.0,
    "share_stale": 0.0,
    "drivers": [{"name": "rv_w", "value": -7.4, "contribution": 0.31}],
    "degradation": _EXAMPLE_DEGRADATION,
}
_EXAMPLE_MARKET: dict[str, Any] = {"name": "simulated", "data_mode": "simulated", "time": "2026-01-01T00:00:00Z"}


class Driver(BaseModel):
    """One additive term of the forecast on the log-variance scale."""

    name: str
    value: float | None = None
    contribution: float


class Score(BaseModel):
    """VolatilityScore of one subject. 50 = usual spike risk (p = 0.10), 80 = four times the usual odds."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE_SCORE]})

    subject: str = Field(description="Series id (`BTC`, `USDNGN:official`) or `vault:<id>`")
    subject_kind: Literal["series", "vault"]
    horizon_days: int = Field(description="Forecast horizon in days of the subject's own calendar")
    score: float | None = Field(description="0-100; null when there is no number, `status` says why")
    p_spike: float | None = Field(description="Probability that variance exceeds the 90 % quantile of the last year")
    sigma_ann: float | None = Field(description="Forecast volatility, annualised, fraction")
    rv_forecast: float | None = Field(description="Forecast variance a day")
    var99: float | None = Field(description="One-day 99 % value at risk, positive, log-return units")
    es99: float | None = Field(description="One-day 99 % expected shortfall, positive, log-return units")
    rv_low: float | None = Field(
        default=None, description="Lower end of the 80 % interval of the realised variance a day"
    )
    rv_high: float | None = Field(
        default=None, description="Upper end of the 80 % interval of the realised variance a day"
    )
    confidence: float | None = Field(
        default=None, description="How far the inputs are to be trusted, 0-1; it is no probability"
    )
    status: str = Field(description="ok, degraded, quarantined, managed, insufficient_data or stale")
    degraded: bool
    reasons: list[str]
    stale: bool = Field(description="True when the market clock has passed `valid_until`")
    as_of: datetime = Field(description="Close of the newest bar or fixing that was used")
    issued_at: datetime = Field(description="Market time at which the score was made")
    valid_until: datetime
    age_s: int = Field(description="Market seconds since `as_of`")
    model_name: str
    model_version: str
    data_mode: Literal["simulated", "replay", "live"]
    share_imputed: float = Field(description="Share of the inputs that were filled, 0-1")
    share_stale: float = Field(description="Share of the inputs older than allowed, 0-1")
    drivers: list[Driver]
    degradation: Degradation | None = Field(
        default=None, description="Who speaks instead of the champion, and why; null for the champion and in history"
    )


class Market(BaseModel):
    """Where the data comes from and what time it is there."""

    name: str
    data_mode: Literal["simulated", "replay", "live"]
    time: datetime = Field(description="Market clock: wall time on a live market, its own on the others")


class RiskCurrent(BaseModel):
    market: Market
    scores: list[Score] = Field(description="Scores whose validity has not passed")
    expired: list[Score] = Field(description="Last known scores whose validity has passed; never to be used as fresh")
    degradation: Degradation | None = Field(
        default=None, description="Worst rung of the scores above and all that is missing; null if nothing is"
    )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "market": _EXAMPLE_MARKET,
                    "scores": [_EXAMPLE_SCORE],
                    "expired": [],
                    "degradation": _EXAMPLE_DEGRADATION,
                }
            ]
        }
    )


class RiskHistory(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "market": _EXAMPLE_MARKET,
                    "subject": "BTC",
                    "horizon_days": 1,
                    "scores": [_EXAMPLE_SCORE],
                    "next_cursor": "MjAyNi0wMS0wMVQwMDowMDowMCswMDowMHw0Mg==",
                }
            ]
        }
    )

    market: Market
    subject: str
    horizon_days: int
    scores: list[Score] = Field(description="Newest first")
    next_cursor: str | None = Field(description="Pass as `cursor` for the next page; null on the last one")


class JobHealth(BaseModel):
    job: str
    last_success_at: datetime | None = Field(description="Market time of the last success")
    age_s: int | None
    allowed_age_s: int
    consecutive_failures: int
    last_error: str | None
    ok: bool


class SeriesHealth(BaseModel):
    series: str
    dataset: str
    interval: str
    newest_ts: datetime | None
    age_s: int | None
    max_age_s: int
    stale: bool
    stalled_by: str | None
    gaps_open: int
    missing_slots_open: int


class Health(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "degraded",
                    "reasons": [
                        "job hourly_refresh: 1 failures in a row, last success 3600 s ago of 8100 s allowed",
                        "1 stale series: USDNGN:official",
                    ],
                    "market": _EXAMPLE_MARKET,
                    "jobs": [
                        {
                            "job": "hourly_refresh",
                            "last_success_at": "2025-12-31T23:00:00Z",
                            "age_s": 3600,
                            "allowed_age_s": 8100,
                            "consecutive_failures": 1,
                            "last_error": "Steps failed: ['raw__fx_rates'].",
                            "ok": False,
                        }
                    ],
                    "series": [
                        {
                            "series": "USDNGN:official",
                            "dataset": "fx_rates",
                            "interval": "1d",
                            "newest_ts": "2025-12-24T00:00:00Z",
                            "age_s": 604800,
                            "max_age_s": 432000,
                            "stale": True,
                            "stalled_by": "simulator",
                            "gaps_open": 1,
                            "missing_slots_open": 4,
                        }
                    ],
                    "degradation": _EXAMPLE_DEGRADATION,
                }
            ]
        }
    )

    status: Literal["ok", "degraded"] = Field(description="Down is a 503, or no answer at all")
    reasons: list[str]
    market: Market
    jobs: list[JobHealth]
    series: list[SeriesHealth]
    degradation: Degradation | None = Field(default=None, description="As in /v1/risk/current, over all subjects")


class Live(BaseModel):
    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    status: Literal["ready"] = "ready"
    market: Market


class ProblemDetail(BaseModel):
    """RFC 9457 problem details; `code` is stable."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str
    request_id: str
    field: str | None = None
