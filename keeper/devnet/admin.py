"""Client of the devnet's own methods, and the way from a vault of the universe to a keeper on the devnet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from stellar_sdk.client.base_sync_client import BaseSyncClient
from stellar_sdk.client.requests_client import RequestsClient
from stellar_sdk.exceptions import ConnectionError as SdkConnectionError

from keeper.connection import ChainUnavailable, Connection
from keeper.limits import KeeperConfig, KeeperLimits, safe_phase
from keeper.networks import PASSPHRASES
from keeper.signing.local_dev import LocalDevSigner
from keeper.soroban import REQUEST_TIMEOUT_S, SorobanGateway
from models.contracts.vault import VaultConfig

DEPOSIT_WHOLE = 1_000_000  # dollars in the stable leg of a fresh vault


class DevnetUnavailable(ChainUnavailable):
    """The devnet does not answer or refuses; the message says what was asked."""


class DevnetAdmin:
    """Calls `devnet_` methods of a devnet at `url`."""

    def __init__(self, url: str, client: BaseSyncClient | None = None) -> None:
        self._url = url
        self._client: Any = client or RequestsClient(num_retries=0, post_timeout=REQUEST_TIMEOUT_S)

    def close(self) -> None:
        self._client.close()

    def seed(self) -> int:
        """Seed of the chain: which devnet this is."""
        return int(self._call("devnet_getSeed", {})["seed"])

    def set_prices(self, prices: Mapping[str, Decimal]) -> None:
        """Price tokens by symbol, dollars a whole token: what swaps of the devnet go by."""
        self._call("devnet_setPrices", {"prices": {s: str(p) for s, p in prices.items()}})

    def fund(self, address: str) -> None:
        """Create an account with 10,000 XLM unless it exists."""
        self._call("devnet_fundAccount", {"address": address})

    def create_vault(self, vault: VaultConfig, rebalance_manager: str) -> tuple[VaultConfig, str]:
        """Deploy the vault unless it exists; returns it with all contract addresses filled in, and its code hash."""
        stable = next(a for a in vault.assets if a.stable)
        answer = self._call(
            "devnet_createVault",
            {
                "vault_id": vault.id,
                "rebalance_manager": rebalance_manager,
                "deposit": DEPOSIT_WHOLE * 10**stable.decimals,
                "assets": [{"symbol": a.symbol, "decimals": a.decimals, "stable": a.stable} for a in vault.assets],
            },
        )
        assets = tuple(replace(a, contract=answer["tokens"][a.symbol]) for a in vault.assets)
        return replace(vault, contract=answer["contract"], assets=assets), answer["code_hash"]

    def _call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        try:
            body = self._client.post(self._url, json_data=request).json()
        except SdkConnectionError as error:
            raise DevnetUnavailable(f"devnet at {self._url} does not answer {method}; is it running?") from error
        except ValueError as error:
            raise DevnetUnavailable(f"devnet at {self._url} answers {method} with something else than JSON") from error
        if "error" in body:
            raise DevnetUnavailable(f"devnet refuses {method}: {body['error']['message']}")
        result: dict[str, Any] = body["result"]
        return result


@dataclass(frozen=True, slots=True)
class DevnetConnection(Connection):
    """A vault on the devnet, whose pools have the prices that its admin sets."""

    admin: DevnetAdmin

    def tell_prices(self, prices: Mapping[str, Decimal]) -> None:
        self.admin.set_prices(prices)

    def close(self) -> None:
        self.gateway.close()
        self.admin.close()


def connect(
    vault: VaultConfig,
    url: str,
    key_path: Path,
    phase: str = "devnet",
    run_id: str | None = None,
    client: BaseSyncClient | None = None,
) -> DevnetConnection:
    """Fund the local key's account and deploy the vault, both once, and return what a keeper needs.

    Parameters
    ----------
    vault : of network devnet; contracts need not be set.
    key_path : file of the development key, made if missing.
    phase : devnet or shadow.

    Raises
    ------
    DevnetUnavailable
        If nothing answers at `url`.
    """
    admin = DevnetAdmin(url, client)
    signer = LocalDevSigner(key_path)
    admin.fund(signer.address)
    deployed, code_hash = admin.create_vault(vault, signer.address)
    limits = KeeperLimits(poll_s=0.2)  # ledgers close every second here, and nobody else pays for the questions
    config = KeeperConfig(
        deployed, signer.address, safe_phase(phase, vault.network), limits, code_hash=code_hash, run_id=run_id
    )
    return DevnetConnection(config, SorobanGateway(url, PASSPHRASES["devnet"], client), signer, admin)
