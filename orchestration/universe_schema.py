"""The shape of the universe file: every section as a frozen model that refuses unknown keys.

Here: fields, ranges and rules within one section. Rules across sections and loading are in
`orchestration.universe`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from models.contracts.market import Calendar, Dataset, SeriesKind, SeriesSpec
from models.contracts.vault import PolicyName, VaultAsset, VaultLimits

WEIGHT_STEP = Decimal("0.0001")  # one basis point: what a contract stores

T = TypeVar("T")
Interval = Annotated[str, StringConstraints(pattern=r"^(\d+[mhd]|irregular)$")]
Symbol = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{1,12}$")]
SeriesId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]+(:[A-Za-z0-9_]+){0,2}$")]
MonthDay = Annotated[str, StringConstraints(pattern=r"^(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")]
ContractId = Annotated[str, StringConstraints(pattern=r"^C[A-Z2-7]{55}$")]
Seconds = Annotated[int, Field(ge=0, strict=True)]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FxWeek(Part):
    holidays: tuple[MonthDay, ...]  # MM-DD, every year


class Calendars(Part):
    fx_week: FxWeek


class PairTolerance(Part):
    base: str
    quote: str
    log_tolerance: float = Field(gt=0, lt=1)
    reason: str


class Reconciliation(Part):
    log_tolerance: float = Field(gt=0, lt=1)
    pairs: tuple[PairTolerance, ...] = ()

    def tolerance(self, base: str, quote: str) -> float:
        """Allowed absolute log difference between two sources of one pair on one day."""
        return next((p.log_tolerance for p in self.pairs if (p.base, p.quote) == (base, quote)), self.log_tolerance)


class Template(Part):
    dataset: Dataset
    kind: SeriesKind
    calendar: Calendar
    interval: Interval
    publication_lag_s: Seconds
    max_age_s: Seconds
    scored: bool = True


class SeriesEntry(Part):
    id: SeriesId
    template: str
    base: str
    quote: str
    source: str
    providers: tuple[str, ...] = Field(min_length=1)
    symbol: str | None = None
    interval: Interval | None = None
    publication_lag_s: Seconds | None = None
    max_age_s: Seconds | None = None
    scored: bool | None = None

    def spec(self, template: Template) -> SeriesSpec:
        """The template's fields, overridden by what this entry says itself."""
        fields = {name: getattr(template, name) for name in Template.model_fields}
        own = {name: getattr(self, name) for name in type(self).model_fields if name != "template"}
        return SeriesSpec(**(fields | {name: value for name, value in own.items() if value is not None}))


class SeriesList(Part):
    series: tuple[SeriesEntry, ...] = Field(min_length=1)


class SimulatedSeries(SeriesList):
    history_days: int | None = Field(default=None, ge=1, le=3650, strict=True)  # None: all that the generator plays


class LiveSeries(SeriesList):
    history_days: int = Field(ge=1, le=3650, strict=True)


class ReplayKind(Part):
    """Expectations of one kind of recording. `known_from`: whether the interval counts before the lag."""

    calendar: Calendar
    known_from: Literal["close", "ts"]
    publication_lag_s: Seconds
    max_age_intervals: int = Field(ge=1)
    min_rows_scored: int | None = Field(default=None, ge=1)  # None: never scored


class ReplayKinds(Part):
    candles: ReplayKind
    ranges: ReplayKind
    fixings: ReplayKind
    hourly_rates: ReplayKind
    street: ReplayKind
    street_weekdays: ReplayKind
    funding: ReplayKind
    open_interest: ReplayKind
    vault: ReplayKind


class ScoredCandles(Part):
    interval: Interval
    suffixes: tuple[str, ...]


class ReplayRules(Part):
    kinds: ReplayKinds
    scored_candles: ScoredCandles
    weekdays_after_days: int = Field(ge=14)
    default_quote: str
    quotes: tuple[str, ...]


class AssetEntry(Part):
    symbol: Symbol
    base_weight: Decimal = Field(ge=0, le=1)
    series: tuple[SeriesId, ...] = ()
    stable: bool = False
    invert: bool = False
    contract: ContractId | None = None
    decimals: int = Field(default=7, ge=0, le=18, strict=True)

    @model_validator(mode="after")
    def _priced_or_stable(self) -> AssetEntry:
        if self.stable == bool(self.series):
            raise ValueError("a leg is either stable or lists the series that price it")
        if self.base_weight % WEIGHT_STEP:
            raise ValueError(f"base_weight is finer than {WEIGHT_STEP}")
        return self

    def leg(self, series: str | None) -> VaultAsset:
        return VaultAsset(self.symbol, series, self.base_weight, self.stable, self.invert, self.contract, self.decimals)


class Limit(Part, Generic[T]):
    value: T
    reason: str = Field(min_length=10)


class LimitsEntry(Part):
    enter_score: Limit[Annotated[float, Field(gt=0, lt=100)]]
    leave_score: Limit[Annotated[float, Field(gt=0, lt=100)]]
    dead_zone: Limit[Annotated[Decimal, Field(ge=0, lt=1)]]
    max_step: Limit[Annotated[Decimal, Field(gt=0, le=1)]]
    max_turnover_day: Limit[Annotated[Decimal, Field(gt=0, le=24)]]
    cooldown_s: Limit[Seconds]
    max_score_age_s: Limit[Seconds]
    max_share_imputed: Limit[Annotated[float, Field(ge=0, le=1)]]
    max_slippage_bps: Limit[Annotated[int, Field(gt=0, le=1000, strict=True)]]
    max_fee_stroops: Limit[Annotated[int, Field(gt=0, strict=True)]]
    target_sigma_ann: Limit[Annotated[float, Field(gt=0, lt=10)]] | None = None
    max_exposure: Limit[Annotated[Decimal, Field(gt=0, le=10)]] | None = None
    dwell_scores: Limit[Annotated[int, Field(ge=1, le=1000, strict=True)]] | None = None
    cooldown_reduce_s: Limit[Seconds] | None = None
    min_benefit: Limit[Annotated[float, Field(ge=0, le=1000)]] | None = None
    cost_bps: Limit[Annotated[int, Field(ge=0, le=10_000, strict=True)]] | None = None
    cost_usd: Limit[Annotated[Decimal, Field(ge=0)]] | None = None
    max_price_gap: Limit[Annotated[Decimal, Field(gt=0, lt=1)]] | None = None
    max_action_usd: Limit[Annotated[Decimal, Field(gt=0)]] | None = None
    max_day_usd: Limit[Annotated[Decimal, Field(gt=0)]] | None = None
    allowed_models: Limit[Annotated[tuple[str, ...], Field(min_length=1)]] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> LimitsEntry:
        if self.leave_score.value >= self.enter_score.value:
            raise ValueError("leave_score must lie below enter_score, else every wobble trades")
        if self.dead_zone.value >= self.max_step.value:
            raise ValueError("dead_zone must lie below max_step, else nothing can ever move")
        if self.cooldown_reduce_s is not None and self.cooldown_reduce_s.value > self.cooldown_s.value:
            raise ValueError("cooldown_reduce_s must not exceed cooldown_s: the way to safety is not the slower one")
        return self

    def limits(self) -> VaultLimits:
        given = {name: getattr(self, name) for name in type(self).model_fields}
        return VaultLimits(**{name: limit.value for name, limit in given.items() if limit is not None})


class VaultEntry(Part):
    id: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
    network: Literal["devnet", "testnet", "public"]
    contract: ContractId | None
    assets: tuple[AssetEntry, ...] = Field(min_length=2)
    limits: LimitsEntry
    policy: PolicyName = PolicyName.VOLATILITY_TARGET

    @model_validator(mode="after")
    def _whole(self) -> VaultEntry:
        symbols = [a.symbol for a in self.assets]
        if len(set(symbols)) < len(symbols):
            raise ValueError(f"assets: a symbol is listed twice in {symbols}")
        if sum(a.stable for a in self.assets) != 1:
            raise ValueError("assets: exactly one leg must be stable")
        total = sum((a.base_weight for a in self.assets), Decimal(0))
        if total != 1:
            raise ValueError(f"assets: base weights add up to {total}, not 1")
        if self.policy is PolicyName.VOLATILITY_TARGET and self.limits.target_sigma_ann is None:
            raise ValueError(
                "policy voltarget (the default) needs limits.target_sigma_ann: the volatility that is wanted of the "
                "vault; write it, or policy: onoff"
            )
        if self.network != "devnet":
            lacking = ["the vault"] * (self.contract is None) + [a.symbol for a in self.assets if a.contract is None]
            if lacking:
                raise ValueError(f"contract: on {self.network} a contract id is needed for {', '.join(lacking)}")
        return self
