"""Answers about stress: the newest test of each vault, the library of scenarios."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.contracts.runs import RunKind
from models.stress.scenarios import Scenario
from serving.run_schemas import PATHS
from serving.schemas import Market

_EXAMPLE_FIGURE: dict[str, Any] = {
    "says": "halted for 67 minutes, no transaction processed", "source": "Stellar Development Foundation",
    "day": "2019-05-15",
}  # fmt: skip
_EXAMPLE: dict[str, Any] = {
    "name": "stellar-halt-2019-05", "title": "Stellar closes no ledger for 67 minutes", "start": "2019-05-15",
    "end": "2019-05-15", "days": 1, "changes": ["halt", "stale"], "figures": [_EXAMPLE_FIGURE], "assumed": "",
}  # fmt: skip
_EXAMPLE_ESTIMATE: dict[str, Any] = {
    "value": 0.21, "standard_error": 0.004, "low": 0.202, "high": 0.218, "reason": None,
}  # fmt: skip
_EXAMPLE_TEST: dict[str, Any] = {
    "vault_id": "mixed", "as_of": "2026-01-01T00:00:00Z", "issued_at": "2026-01-01T00:05:00Z",
    "valid_until": "2026-01-02T02:00:00Z", "age_s": 1800, "stale": False, "data_mode": "simulated",
    "run": "simulation-66c61c6c2519fbf5", "status_url": "/v1/risk/simulations/simulation-66c61c6c2519fbf5",
    "seed": 20251231, "paths": 10_000, "days": 30, "step": "day", "generator": "scaled", "shocks": ["gap", "halt"],
    "without_keeper": {"max_drawdown_95": _EXAMPLE_ESTIMATE},
    "with_keeper": {"max_drawdown_95": _EXAMPLE_ESTIMATE},
    "constant_mix": {"max_drawdown_95": _EXAMPLE_ESTIMATE},
    "keeper_less_none": {"max_drawdown_95": {**_EXAMPLE_ESTIMATE, "value": -0.03, "low": -0.038, "high": -0.022}},
}  # fmt: skip
_EXAMPLE_MARKET: dict[str, Any] = {"name": "simulated", "data_mode": "simulated", "time": "2026-01-01T00:30:00Z"}


class Estimate(BaseModel):
    """A figure of drawn paths and its Monte-Carlo error."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE_ESTIMATE]})

    value: float | None
    standard_error: float | None = Field(description="Over the drawing of paths")
    low: float | None = Field(description="Lower end of the 95 % interval of the same")
    high: float | None = Field(description="Upper end of it")
    reason: str | None = Field(description="Why something is lacking; null where nothing is")


Figures = dict[str, Estimate]


class StressTest(BaseModel):
    """What may become of a vault within the days of a path; losses and drawdowns are positive shares."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE_TEST]})

    vault_id: str
    as_of: datetime = Field(description="Midnight at which the newest day closed that paths are drawn from")
    issued_at: datetime = Field(description="Market time at which it was made")
    valid_until: datetime = Field(description="Market time until which the next one is due")
    age_s: int = Field(description="Market seconds since `as_of`")
    stale: bool = Field(description="True when the market clock has passed `valid_until`: the next one is overdue")
    data_mode: Literal["simulated", "replay", "live"]
    run: str = Field(description="Its run in the registry")
    status_url: str = Field(description="Where the run stands; `?include=curve` for bands of equity and drawdowns")
    seed: int = Field(description="The day as YYYYMMDD")
    paths: int
    days: int = Field(description="Of a path")
    step: Literal["hour", "day"]
    generator: str
    shocks: list[str] = Field(description="Shocks that come by chance")
    without_keeper: Figures
    with_keeper: Figures
    constant_mix: Figures = Field(description="Without keeper, holding on average as much as with him")
    keeper_less_none: Figures = Field(description="What the keeper changes on the same paths")


class RiskStress(BaseModel):
    """The newest stress test of each vault."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"market": _EXAMPLE_MARKET, "stress": [_EXAMPLE_TEST]}]})

    market: Market
    stress: list[StressTest]


def stress_test_of(row: Mapping[Any, Any], now: datetime) -> StressTest:
    """A row of `serving.stress_latest` at market time `now`."""
    inputs, summary = row["inputs"], row["summary"]
    figures = {each["name"]: each["figures"] for each in summary["strategies"]}
    return StressTest(
        **{name: row[name] for name in ("vault_id", "as_of", "issued_at", "valid_until", "data_mode", "run", "seed")},
        **{name: inputs[name] for name in ("paths", "days", "step", "generator")},
        age_s=max(0, int((now - row["as_of"]).total_seconds())),
        stale=now > row["valid_until"],
        status_url=f"/v1/{PATHS[RunKind.SIMULATION]}/{row['run']}",
        shocks=sorted(inputs["shocks"]),
        without_keeper=figures["hold"],
        with_keeper=figures["policy"],
        constant_mix=figures["mix"],
        keeper_less_none=summary["policy_less"]["hold"],
    )


class ScenarioFigure(BaseModel):
    """One published figure."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE_FIGURE]})

    says: str
    source: str
    day: date = Field(description="Of the rate or of the report")


class ScenarioEntry(BaseModel):
    """One event."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    name: str = Field(description="What a simulation asks for as `scenario`")
    title: str
    start: date
    end: date
    days: int = Field(description="From the first to the last, both counted")
    changes: list[str] = Field(description="Channels that it acts on, such as `fall`, `halt` or `funding`")
    figures: list[ScenarioFigure] = Field(description="Where its sizes are from")
    assumed: str = Field(description="Sizes that nobody published; empty without any")


class ScenarioLibrary(BaseModel):
    """All scenarios, oldest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"scenarios": [_EXAMPLE]}]})

    scenarios: list[ScenarioEntry]


def scenario_of(scenario: Scenario) -> ScenarioEntry:
    """A scenario of the library as it is shown."""
    return ScenarioEntry(
        **{name: getattr(scenario, name) for name in ("name", "title", "start", "end", "days", "assumed")},
        changes=sorted({effect.channel.name.lower() for effect in scenario.effects}),
        figures=[ScenarioFigure(says=one.says, source=one.source, day=one.day) for one in scenario.figures],
    )
