"""Reading a vault for snapshots and status: weights, value, share price and ledger. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from keeper.gateway import Gateway, Ok
from keeper.limits import KeeperConfig
from keeper.trades import state_of
from models.contracts.vault import VaultState


class VaultUnreadable(RuntimeError):
    """The chain did not answer or the vault does not exist; the message says which."""


def vault_state(gateway: Gateway, config: KeeperConfig, prices: Mapping[str, Decimal]) -> VaultState:
    """State of the configured vault, valued at `prices` (dollars a whole token by symbol).

    Raises
    ------
    VaultUnreadable
        If the chain gives no answer.
    keeper.trades.MissingPrice
        If a leg that is not stable has no price.
    ValueError
        If the vault holds nothing.
    """
    assert config.vault.contract is not None
    answer = gateway.vault(config.vault.contract)
    if not isinstance(answer, Ok):
        raise VaultUnreadable(f"vault {config.vault.id} on {config.vault.network}: {answer.reason}")
    return state_of(config.vault, answer.value, prices)
