"""Requests of a simulation: what is filled in, what is refused and with which words."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from models.contracts.vault import PolicyName
from models.runs.plan import RequestError
from models.stress.request import Inputs, inputs_of
from models.stress.shock_catalogue import CATALOGUE, DEFAULT_SHOCKS
from models.stress.shocks import Gap
from tests.models.stress.markets import Market

VAULTS = Market().vaults()


def test_what_is_left_out_is_filled_in() -> None:
    found = inputs_of({"vault_id": "mixed"}, VAULTS)
    assert (found.paths, found.days, found.step, found.steps, found.generator) == (10_000, 30, "hour", 720, "scaled")
    assert (found.shocks, found.scenario, found.leverage, found.ruin_loss) == ({}, None, None, 0.5)
    assert inputs_of({"vault_id": "naira"}, VAULTS).steps == 30
    assert inputs_of({"vault_id": "mixed", "generator": "regimes"}, VAULTS).step == "day"


def test_shocks_by_name_in_one_order_with_all_their_fields_written_out() -> None:
    usual = inputs_of({"vault_id": "mixed", "shocks": "usual"}, VAULTS)
    assert list(usual.shocks.values()) == list(DEFAULT_SHOCKS)
    said = {"depeg": None, "gap": {"rate_per_year": 4, "thin": {"depth": [0.1, 0.2]}}}
    found = inputs_of({"vault_id": "mixed", "shocks": said}, VAULTS)
    assert list(found.shocks) == ["gap", "depeg"]
    gap = found.shocks["gap"]
    assert isinstance(gap, Gap)
    assert gap.thin is not None
    assert (gap.rate_per_year, gap.least_sigmas, gap.thin.depth) == (4.0, 5.0, (0.1, 0.2))
    plain = found.to_dict()["shocks"]
    assert plain["gap"]["thin"] == {"half_spread": [3.0, 20.0], "depth": [0.1, 0.2], "days": [1.0, 5.0]}
    written_out = inputs_of({"vault_id": "mixed", "shocks": {"depeg": {"rate_per_year": 0.3}}}, VAULTS)
    assert written_out == inputs_of({"vault_id": "mixed", "shocks": {"depeg": {}}}, VAULTS)


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_shock_is_read_back(name: str) -> None:
    found = inputs_of({"vault_id": "mixed", "shocks": {name: {}}}, VAULTS)
    assert Inputs.of_dict(found.to_dict()) == found


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"vault_id": "other"}, "vault_id", "there is: mixed, naira"),
    ({"paths": 99}, "paths", "from 100 to 1e"),
    ({"days": 366}, "days", "from 1 to 365"),
    ({"step": "minute"}, "step", "one of hour, day"),
    ({"vault_id": "naira", "step": "hour"}, "step", "USDNGN has one close a day: ask for day"),
    ({"generator": "regimes", "step": "hour"}, "generator", "ask for step day"),
    ({"shocks": "all"}, "shocks", 'must be "usual" or an object'),
    ({"shocks": ["gap"]}, "shocks", "not a list"),
    ({"shocks": {"quake": {}}}, "shocks", "there is no shock 'quake'; there are gap"),
    ({"shocks": {"gap": 3}}, "shocks.gap", "must be an object of the fields"),
    ({"shocks": {"gap": {"size": 3}}}, "shocks.gap", "one of rate_per_year"),
    ({"shocks": {"gap": {"rate_per_year": 367}}}, "shocks.gap", "0 switches the shock off"),
    ({"shocks": {"gap": {"rate_per_year": 10**400}}}, "shocks.gap", "no usual size"),
    ({"shocks": {"depeg": {"half_life_days": float("inf")}}}, "shocks.depeg", "no usual size"),
    ({"shocks": {"gap": {"name": "other"}}}, "shocks.gap", "no field 'name'"),
    ({"shocks": {"halt": {"days": ["1", "2" * 5_000]}}}, "shocks.halt", "two numbers"),
    ({"scenario": "flood"}, "scenario", "terra-2022-05"),
    ({"scenario": "terra-2022-05", "days": 3, "scenario_day": 3}, "scenario_day", "at most 2"),
    ({"leverage": 1}, "leverage", "from 1.01"),
    ({"leverage": 4, "maintenance": 0.25}, "maintenance", "below 1 / leverage, 0.250"),
    ({"limits": {"leave_score": 90}}, "limits.leave_score", "below enter_score"),
    ({"policy": "voltarget"}, "limits.target_sigma_ann", "0.5 for 50 % a year"),
    ({"limits": {"cooldown_reduce_s": 30_000}}, "limits.cooldown_reduce_s", "0 to cooldown_s"),
    ({"limits": {"dwell_scores": 0}}, "limits.dwell_scores", "1 to 1000"),
    ({"limits": {"max_day_usd": 0}}, "limits.max_day_usd", "1e-06"),
    ({"start": "2024-06-01", "end": "2024-05-01"}, "start", "must not lie after `end`"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "field", "told"), REFUSED)
def test_a_refusal_names_the_field_and_the_way_out(changes: dict[str, Any], field: str, told: str) -> None:
    with pytest.raises(RequestError) as refused:
        inputs_of({"vault_id": "mixed", **changes}, VAULTS)
    assert refused.value.field == field
    assert told in refused.value.message
    assert len(refused.value.message) < 600


def test_caps_in_dollars_are_exact() -> None:
    found = inputs_of({"vault_id": "mixed", "limits": {"max_action_usd": 2500.1, "dwell_scores": 2}}, VAULTS)
    assert (found.vault.limits.max_action_usd, found.vault.limits.dwell_scores) == (Decimal("2500.1"), 2)


def test_the_policy_is_part_of_the_vault() -> None:
    asked = {"vault_id": "mixed", "policy": "voltarget", "limits": {"target_sigma_ann": 0.4}}
    found = inputs_of(asked, VAULTS)
    assert (found.vault.policy, found.vault.limits.target_sigma_ann) == (PolicyName.VOLATILITY_TARGET, 0.4)
