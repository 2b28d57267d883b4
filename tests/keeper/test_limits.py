"""Configurations that must never run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from keeper.limits import ConfigError, KeeperConfig, Phase, safe_phase
from keeper.networks import PASSPHRASES, allowed_data_modes, network_named
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
    assert safe_phase("shadow", "devnet") is Phase.SHADOW


@pytest.mark.parametrize(
    ("wanted", "on_devnet", "on_private", "on_testnet", "on_public"),
    [
        ("shadow", "shadow", "shadow", "shadow", "shadow"),
        ("devnet", "devnet", "devnet", "testnet", "shadow"),
        ("testnet", "testnet", "testnet", "testnet", "shadow"),
        ("approve", "approve", "approve", "approve", "approve"),
        ("live", "live", "live", "live", "live"),
    ],
)
def test_a_phase_that_acts_without_leave_stays_on_development_networks(
    wanted: str, on_devnet: str, on_private: str, on_testnet: str, on_public: str
) -> None:
    found = [safe_phase(wanted, network) for network in ("devnet", "private", "testnet", "public")]
    assert found == [on_devnet, on_private, on_testnet, on_public]


def test_which_phases_sign() -> None:
    assert [phase for phase in Phase if phase.signs] == [Phase.DEVNET, Phase.APPROVE, Phase.LIVE]


@pytest.mark.parametrize(
    ("network", "passphrase", "message"),
    [
        ("private", None, "a passphrase belongs to a private network"),
        ("testnet", "My Network", "a passphrase belongs to a private network"),
        ("private", PASSPHRASES["public"], "private has the passphrase of a known network"),
    ],
)
def test_a_passphrase_and_a_name_mean_one_network(network: str, passphrase: str | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        KeeperConfig(deployed(network), "G", private_passphrase=passphrase)
    private = KeeperConfig(deployed("private"), "G", private_passphrase="My Network")
    assert (private.passphrase, network_named("My Network")) == ("My Network", "private")


def test_which_data_may_act_where() -> None:
    assert allowed_data_modes("devnet") == set(DataMode)
    assert allowed_data_modes("testnet") == allowed_data_modes("private") == set(DataMode)
    assert allowed_data_modes("public") == {DataMode.LIVE}
    assert allowed_data_modes("elsewhere") == frozenset()
