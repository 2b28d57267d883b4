"""Answers about stress: the library of scenarios."""

from __future__ import annotations

from datetime import date
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from models.stress.scenarios import Scenario

_EXAMPLE_FIGURE: dict[str, Any] = {
    "says": "halted for 67 minutes, no transaction processed", "source": "Stellar Development Foundation",
    "day": "2019-05-15",
}  # fmt: skip
_EXAMPLE: dict[str, Any] = {
    "name": "stellar-halt-2019-05", "title": "Stellar closes no ledger for 67 minutes", "start": "2019-05-15",
    "end": "2019-05-15", "days": 1, "changes": ["halt", "stale"], "figures": [_EXAMPLE_FIGURE], "assumed": "",
}  # fmt: skip


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
