"""Answer models of the measures of risk: value at risk, correlations, regimes."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from serving.schemas import Market

DataMode = Literal["simulated", "replay", "live"]
VarMethod = Literal["historical", "filtered", "student_t"]
CorrelationMethod = Literal["ewma", "ledoit_wolf"]
DaysOf = Literal["all", "calm", "normal", "stressed"]
RegimeMethod = Literal["hmm", "rule"]
Matrix = list[list[float | None]]

_MARKET: dict[str, Any] = {"name": "simulated", "data_mode": "simulated", "time": "2026-01-01T00:30:00Z"}
_VAR: dict[str, Any] = {
    "subject": "BTC",
    "horizon_days": 1,
    "method": "filtered",
    "var95_log": 0.038,
    "es95_log": 0.055,
    "var99_log": 0.064,
    "es99_log": 0.081,
    "sample_days": 1000,
    "tested_windows": 365,
    "exceeded95": 17,
    "exceeded99": 4,
    "status": "ok",
    "reasons": [],
    "stale": False,
    "as_of": "2026-01-01T00:00:00Z",
    "issued_at": "2026-01-01T00:00:00Z",
    "valid_until": "2026-01-01T02:00:00Z",
    "age_s": 1800,
    "data_mode": "simulated",
}
_CORRELATION: dict[str, Any] = {
    "method": "ewma",
    "regime": "all",
    "names": ["BTC", "ETH", "USDNGN:official"],
    "matrix": [[1.0, 0.78, None], [0.78, 1.0, None], [None, None, 1.0]],
    "measured": [[1.0, 0.8, None], [0.8, 1.0, None], [None, None, 1.0]],
    "low": [[1.0, 0.69, None], [0.69, 1.0, None], [None, None, 1.0]],
    "high": [[1.0, 0.88, None], [0.88, 1.0, None], [None, None, 1.0]],
    "common_days": [[150, 150, 41], [150, 150, 41], [41, 41, 41]],
    "missing_pairs": [
        {"a": "BTC", "b": "USDNGN:official", "common_days": 41},
        {"a": "ETH", "b": "USDNGN:official", "common_days": 41},
    ],
    "days": 150,
    "shrinkage": 0.03,
    "first_eigenvalue_share": 0.59,
    "change_30d_mean": 0.04,
    "change_30d_largest": 0.04,
    "change_30d_pair": ["BTC", "ETH"],
    "status": "degraded",
    "reasons": ["2 of 3 pairs have no number: under 60 common days, or one stood still"],
    "stale": False,
    "as_of": "2026-01-01T00:00:00Z",
    "issued_at": "2026-01-01T00:00:00Z",
    "valid_until": "2026-01-02T02:00:00Z",
    "age_s": 1800,
    "data_mode": "simulated",
}
_REGIME: dict[str, Any] = {
    "subject": "BTC",
    "method": "hmm",
    "label": "normal",
    "p_calm": 0.08,
    "p_normal": 0.9,
    "p_stressed": 0.02,
    "trend": "up",
    "trend_strength": 0.8,
    "changepoint": 0.11,
    "level_age_days": 41.0,
    "status": "ok",
    "reasons": [],
    "stale": False,
    "as_of": "2026-01-01T00:00:00Z",
    "valid_until": "2026-01-02T02:00:00Z",
    "age_s": 1800,
    "model_version": "hmm1-20251204-5d1c0b8e",
    "data_mode": "simulated",
}


def _examples(example: dict[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class Standing(BaseModel):
    """What every measure says of itself: whether it has a number, how old it is, whether it is still good."""

    status: str = Field(description="Only ok and degraded carry numbers; else why there are none")
    reasons: list[str]
    required: int | None = Field(default=None, description="What is needed where there is too little (count)")
    received: int | None = Field(default=None, description="What there is of it (count)")
    stale: bool = Field(description="True when the market clock has passed `valid_until`")
    as_of: datetime = Field(description="Close of the newest day, bar or fixing that was used")
    valid_until: datetime
    age_s: int = Field(description="Market seconds since `as_of`")
    data_mode: DataMode


class ValueAtRisk(Standing):
    """Losses of one subject over one horizon by one method. A loss x in log units is 1 - exp(-x) of the value.

    `filtered` over one day is `var99` and `es99` of the score of the same moment."""

    model_config = _examples(_VAR)

    subject: str = Field(description="Series id or `vault:<id>`")
    horizon_days: int = Field(description="Days of the subject's own calendar")
    method: VarMethod
    var95_log: float | None = Field(description="Loss exceeded with 5 %, log-return units, positive")
    es95_log: float | None = Field(description="Mean loss beyond it")
    var99_log: float | None = Field(description="Loss exceeded with 1 %, log-return units, positive")
    es99_log: float | None = Field(description="Mean loss beyond it")
    sample_days: int = Field(description="Known returns or residuals it rests on")
    tested_windows: int = Field(description="Windows of the last year, one horizon apart, on which it was tested")
    exceeded95: int = Field(description="On how many the loss was beyond the VaR at 95 %")
    exceeded99: int = Field(description="On how many the loss was beyond the VaR at 99 %")
    sufficient_on: date | None = Field(default=None, description="Earliest date at which there will be enough")
    issued_at: datetime


class RiskVar(BaseModel):
    model_config = _examples({"market": _MARKET, "var": [_VAR], "expired": []})

    market: Market
    var: list[ValueAtRisk] = Field(description="Newest of each subject, horizon and method that is still valid")
    expired: list[ValueAtRisk] = Field(description="Those whose validity has passed; never to be used as fresh")


class MissingPair(BaseModel):
    a: str
    b: str
    common_days: int


class CorrelationMatrix(Standing):
    """Correlations of daily returns by one method over the days of one regime."""

    model_config = _examples(_CORRELATION)

    method: CorrelationMethod
    regime: DaysOf
    names: list[str] = Field(description="Series, or symbols of a vault's legs, in the order of rows and columns")
    matrix: Matrix | None = Field(description="Null for a pair without a number; positive definite with those as 0")
    measured: Matrix | None = Field(description="The same before shrinkage, which holds back what may be noise")
    low: Matrix | None = Field(description="Lower end of the 90 % interval of each as measured")
    high: Matrix | None = Field(description="Upper end of the same interval")
    common_days: list[list[int]] = Field(description="Days on which both of a pair have a return")
    missing_pairs: list[MissingPair]
    days: int = Field(description="Days of the window")
    shrinkage: float | None = Field(description="Share that was taken off the sum of absolute correlations, 0-1")
    first_eigenvalue_share: float | None = Field(description="Share of the variance that one common factor explains")
    change_30d_mean: float | None = Field(description="Mean absolute change in 30 days")
    change_30d_largest: float | None
    change_30d_pair: list[str] | None
    issued_at: datetime


class RiskCorrelation(BaseModel):
    model_config = _examples({"market": _MARKET, "scope": "market", "correlations": [_CORRELATION], "expired": []})

    market: Market
    scope: str = Field(description="`market`, or `vault:<id>` for the legs of a vault as it holds them")
    correlations: list[CorrelationMatrix] = Field(description="Newest of each method and regime that is still valid")
    expired: list[CorrelationMatrix] = Field(description="Those whose successor is overdue")


class Regime(Standing):
    """Volatility regime and trend of one subject on its newest closed day, from what was known then."""

    model_config = _examples(_REGIME)

    subject: str = Field(description="Series id or `vault:<id>`")
    method: RegimeMethod
    label: Literal["calm", "normal", "stressed"] | None
    p_calm: float | None = Field(description="Filtered probability; null for `rule`")
    p_normal: float | None
    p_stressed: float | None
    trend: Literal["down", "flat", "up"] | None
    trend_strength: float | None = Field(description="Return of the last month, in standard deviations")
    changepoint: float | None = Field(description="Probability that the level changed within the last week")
    level_age_days: float | None = Field(description="Expected age of the present level of variance")
    model_version: str


class RiskRegimes(BaseModel):
    model_config = _examples({"market": _MARKET, "regimes": [_REGIME], "expired": []})

    market: Market
    regimes: list[Regime] = Field(description="Newest of each subject and method that is still valid")
    expired: list[Regime] = Field(description="Those whose successor is overdue")
