"""The scenarios by name."""

from __future__ import annotations

from models.stress.scenarios import Scenario
from models.stress.scenarios_coins import COIN_SCENARIOS
from models.stress.scenarios_currencies import CURRENCY_SCENARIOS

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in sorted((*COIN_SCENARIOS, *CURRENCY_SCENARIOS), key=lambda scenario: (scenario.start, scenario.name))
}


def scenario_named(name: str) -> Scenario:
    """A scenario of the library.

    Raises
    ------
    ValueError
        There is none of this name.
    """
    if name not in SCENARIOS:
        raise ValueError(f"there is no scenario {name!r}: one of {', '.join(SCENARIOS)}")
    return SCENARIOS[name]
