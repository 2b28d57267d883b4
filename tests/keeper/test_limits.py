"""Configurations that must never run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from keeper.limits import ConfigError, KeeperConfig, Phase, safe_phase
from keeper.networks import allowed_data_modes
from models.contracts.market import DataMode
from models.contracts.vault import VaultConfig
from tests.keeper.world import a_vault


def deployed(network: str = "devnet") -> VaultConfig:
    vault = a_vault("v")
    assets = tuple(replace(a, contract=f"C{a.symbol}") for a in vault.assets)
    return replace(vault, network=network, contract="C", assets=assets)


@pytest.mark.parametrize(
    ("vault", "phase", "field"),
    [
        (deployed("testnet"), Phase.DEVNET, "phase devnet on network testnet"),
        (deployed("public"), Phase.DEVNET, "phase devnet on network public"),
        (deployed("mainnet"), Phase.SHADOW, "network 'mainnet'"),
        (replace(deployed(), contract=None), Phase.SHADOW, "contract is not set"),
        (replace(deployed(), assets=a_vault().assets), Phase.SHADOW, "no token contract for USDC"),
    ],
)
def test_unsafe_or_incomplete_configurations(vault: VaultConfig, phase: Phase, field: str) -> None:
    with pytest.raises(ConfigError, match=field):
        KeeperConfig(vault, "G", phase)


def test_real_networks_default_to_shadow() -> None:
    assert KeeperConfig(deployed("public"), "G").phase is Phase.SHADOW
    assert [safe_phase("devnet", n) for n in ("devnet", "testnet", "public")] == ["devnet", "shadow", "shadow"]
    assert safe_phase("shadow", "devnet") is Phase.SHADOW


def test_which_data_may_act_where() -> None:
    assert allowed_data_modes("devnet") == set(DataMode)
    assert allowed_data_modes("testnet") == allowed_data_modes("public") == {DataMode.LIVE}
    assert allowed_data_modes("elsewhere") == frozenset()
