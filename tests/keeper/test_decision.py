"""Guards that need no chain, by themselves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from keeper.decision import refuse_early
from keeper.limits import Control, ControlMode, KeeperConfig
from models.allocation.policy import POLICY_VERSIONS
from models.contracts.vault import PolicyName, Reason
from tests.keeper.world import MARKET_NOW, a_row, a_vault


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
