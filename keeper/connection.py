"""A vault on its chain: the one interface behind which the embedded devnet and a network of settings look alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from keeper.gateway import Gateway
from keeper.limits import KeeperConfig
from keeper.signing.interface import Signer


class ChainUnavailable(RuntimeError):
    """No chain answers where the vault should be; the message says what was asked."""


@dataclass(frozen=True, slots=True)
class Connection:
    """Everything a `Keeper` needs besides its store. `signer`: None where the phase signs nothing."""

    config: KeeperConfig
    gateway: Gateway
    signer: Signer | None

    def tell_prices(self, prices: Mapping[str, Decimal]) -> None:  # most networks have prices of their own
        """Let swaps go by `prices` (dollars a whole token by symbol), where the chain has no market of its own."""

    def close(self) -> None:
        self.gateway.close()
