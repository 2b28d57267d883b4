"""Sources: fresh series of the same pair confirm each other; a vault is as confirmed as its weakest leg."""

from __future__ import annotations

from dataclasses import replace

import pytest

from models.contracts.market import DataMode, SeriesSpec
from orchestration.confirmation import sources_of, sources_of_vault
from orchestration.settings import DEFAULT_UNIVERSE
from orchestration.universe import load_universe

UNIVERSE = load_universe(DEFAULT_UNIVERSE)
SPECS = {spec.id: spec for spec in UNIVERSE.series_of(DataMode.SIMULATED)}


def also(spec: SeriesSpec, source: str) -> SeriesSpec:
    return replace(spec, id=f"{spec.base}{spec.quote}:{source}", source=source)


NGN, BTC = SPECS["USDNGN:official"], SPECS["BTC"]
STREET = also(NGN, "bureau")


@pytest.mark.parametrize(
    ("fresh", "ngn"),
    [
        ({"USDNGN:official", "USDNGN:bureau", "BTC"}, 2),
        ({"USDNGN:official", "BTC"}, 1),
        ({"USDNGN:bureau"}, 1),  # its own print is old: one other speaks
        ({"BTC"}, 1),
        ({"USDNGN:official", "USDNGN:bureau", "USDKES:official"}, 2),  # not ours, whoever it is
    ],
)
def test_fresh_series_of_a_pair_are_its_sources(fresh: set[str], ngn: int) -> None:
    found = sources_of([NGN, STREET, BTC], fresh)
    assert found == {"USDNGN:official": ngn, "USDNGN:bureau": ngn, "BTC": 1}


def test_a_vault_is_as_confirmed_as_its_weakest_risky_leg() -> None:
    (vault,) = UNIVERSE.vaults
    legs = {asset.series: 3 for asset in vault.assets if asset.series is not None}
    assert sources_of_vault(vault, legs) == 3
    assert sources_of_vault(vault, legs | {"BTC": 2}) == 2
    assert sources_of_vault(vault, {}) == 1
