"""Guards that need no chain, by themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from keeper.decision import TargetInput, refuse_early
from keeper.limits import Control, ControlMode, KeeperConfig
from models.allocation.policy import POLICY_VERSIONS
from models.contracts.market import DataMode
from models.contracts.vault import PolicyName, Reason, VaultLimits
from tests.keeper.world import MARKET_NOW, PRICES, a_row, a_vault


@pytest.mark.parametrize(
    ("policy", "other"), [(PolicyName.ON_OFF, "voltarget-1"), (PolicyName.VOLATILITY_TARGET, "onoff-1")]
)
def test_a_target_of_another_policy_than_the_vaults_is_refused(policy: PolicyName, other: str) -> None:
    plain = a_vault()
    assets = tuple(replace(asset, contract=asset.symbol) for asset in plain.assets)
    vault = replace(plain, contract="vault", assets=assets, policy=policy)
    row = a_row(vault)
    own = replace(row, target=replace(row.target, policy_version=POLICY_VERSIONS[policy]))
    foreign = replace(row, target=replace(row.target, policy_version=other))
    config, control = KeeperConfig(vault, "account"), Control(ControlMode.RUN, "")
    assert refuse_early(config, own, control, MARKET_NOW) is None
    refused = refuse_early(config, foreign, control, MARKET_NOW)
    assert refused is not None
    assert refused.reasons == (Reason.POLICY_VERSION_UNKNOWN,)


Change = Callable[[TargetInput], TargetInput]
STRICT = VaultLimits(max_price_gap=Decimal("0.02"), allowed_models=("har-1",), min_benefit=1.0)


def strict_config(network: str = "public") -> KeeperConfig:
    plain = a_vault(limits=STRICT)
    assets = tuple(replace(asset, contract=asset.symbol) for asset in plain.assets)
    return KeeperConfig(replace(plain, network=network, contract="vault", assets=assets), "account")


def a_sound_row(config: KeeperConfig) -> TargetInput:
    row = replace(a_row(config.vault, mode=DataMode.LIVE), second_prices=PRICES)
    return replace(row, target=replace(row.target, sigma_ann=0.3))


def of_target(**changes: object) -> Change:
    return lambda row: replace(row, target=replace(row.target, **changes))  # type: ignore[arg-type]


def of_row(**changes: object) -> Change:
    return lambda row: replace(row, **changes)  # type: ignore[arg-type]


# In the order in which they are asked: a tick with two faults is refused for the earlier one.
GUARDS: list[tuple[Change, Reason]] = [
    (of_target(score=None), Reason.SCORE_MISSING),
    (of_target(score=-0.1), Reason.SCORE_OUT_OF_RANGE),
    (of_row(model_version="har-2"), Reason.MODEL_NOT_ALLOWED),
    (of_row(valid_until=MARKET_NOW - timedelta(seconds=1)), Reason.SCORE_EXPIRED),
    (of_target(policy_version="onoff-0"), Reason.POLICY_VERSION_UNKNOWN),
    (of_row(data_mode=DataMode.REPLAY), Reason.DATA_MODE_NOT_ALLOWED),
    (of_row(share_imputed=0.26), Reason.INPUTS_IMPUTED),
    (of_row(second_prices=PRICES | {"BTC": Decimal(92_000)}), Reason.PRICES_DISAGREE),
]


def refused(row: TargetInput, mode: ControlMode = ControlMode.RUN, config: KeeperConfig | None = None) -> Reason | None:
    found = refuse_early(config or strict_config(), row, Control(mode, ""), MARKET_NOW)
    assert found is None or len(found.reasons) == 1
    return None if found is None else Reason(found.reasons[0])


def test_each_guard_by_itself() -> None:
    sound = a_sound_row(strict_config())
    assert refused(sound) is None
    for change, reason in GUARDS:
        assert refused(change(sound)) is reason


@pytest.mark.parametrize("first", range(len(GUARDS) - 1))
def test_the_order_of_the_guards(first: int) -> None:
    sound = a_sound_row(strict_config())
    earlier, reason = GUARDS[first]
    for later, _ in GUARDS[first + 1 :]:
        if reason is not Reason.SCORE_MISSING:
            assert refused(earlier(later(sound))) is reason
    assert refused(earlier(sound), ControlMode.HALT) is Reason.KILL_SWITCH_HALT


def test_a_vault_that_weighs_benefits_holds_without_a_forecast() -> None:
    assert refused(of_target(sigma_ann=None)(a_sound_row(strict_config()))) is Reason.SCORE_MISSING


@pytest.mark.parametrize(("network", "expected"), [("devnet", None), ("public", Reason.DATA_MODE_NOT_ALLOWED)])
def test_only_live_data_where_money_is(network: str, expected: Reason | None) -> None:
    config = strict_config(network)
    assert refused(of_row(data_mode=DataMode.SIMULATED)(a_sound_row(config)), config=config) is expected


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        ({}, Reason.SECOND_PRICE_MISSING),
        ({s: p for s, p in PRICES.items() if s != "XLM"}, Reason.SECOND_PRICE_MISSING),
        (PRICES | {"XLM": PRICES["XLM"] * Decimal("1.021")}, Reason.PRICES_DISAGREE),
        (PRICES | {"XLM": PRICES["XLM"] * Decimal("1.019")}, None),
    ],
)
def test_two_prices_that_disagree_or_one_that_is_missing_stop_every_swap(
    second: dict[str, Decimal], reason: Reason | None
) -> None:
    assert refused(of_row(second_prices=second)(a_sound_row(strict_config()))) is reason
