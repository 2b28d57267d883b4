"""The way from a vault of the universe to its chain: the embedded devnet, or the network that the settings name.

Here: addresses, keys and what the settings allow. Whether and how to act is `keeper`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from pathlib import Path

import dagster as dg
from pydantic import Field

from keeper.connection import Connection
from keeper.devnet.admin import connect
from keeper.golive import Check, Standing, checks
from keeper.intent import IntentState
from keeper.keeper import Keeper
from keeper.limits import ConfigError, Phase, safe_phase
from keeper.network_connection import NetworkAccess, connect_network
from keeper.networks import allowed_data_modes
from keeper.signing.choose import SignerKind, choose_signer
from keeper.signing.interface import Signer, SigningRefused
from keeper.store import KeeperStore
from models.contracts.vault import VaultConfig, VaultLimits
from orchestration.alerts.config import alert_config
from orchestration.configuration.keeper import ACCOUNT, CONTRACT, PASSPHRASE
from orchestration.resources.warehouse import Warehouse
from orchestration.settings import Settings, SettingsError, as_environment, current_settings, vault_token

DEVNET = "devnet"
# What is wrong with a set-up, in one sentence with a way out: a tick records it and leaves the other vaults alone.
NOT_CONFIGURED = (ConfigError, SettingsError, SigningRefused)


@dataclass(frozen=True)
class KeptVault:
    """A vault whose chain answered. `refused`: checks of the wanted phase that fail, so that it is kept in shadow."""

    connection: Connection
    keeper: Keeper
    refused: tuple[Check, ...] = ()


def signer_of(settings: Settings, network: str, passphrase: str | None = None) -> Signer:
    """The signer that the settings name for vaults of `network`; call its `check()` before the keeper starts.

    A local key is a file: the one that BALLAST_SIGNER_KEY names, or one of the workspace, made on first use.
    `passphrase`: of a network that is not known by name. Raises SigningRefused, naming the setting.
    """
    file = settings.signer.key if settings.signer.kind is SignerKind.LOCAL else None
    path = Path(file).expanduser() if file else settings.workspace / "keys" / f"{network}.seed"
    return choose_signer(settings.signer, network, path, vault_token, passphrase)


class VaultChain(dg.ConfigurableResource[None]):
    """Where the vaults of this market live, and who signs for them."""

    variables: dict[str, str] = Field(
        description="Settings of this market by variable name, on top of the environment of the process."
    )

    @classmethod
    def of(cls, settings: Settings) -> VaultChain:
        """The resource for these settings; addresses of nodes are read from the environment when a run starts."""
        hidden = ("DATABASE_URL",)  # resource configuration is shown in the UI; this one may hold a password
        return cls(variables={name: value for name, value in as_environment(settings).items() if name not in hidden})

    @cached_property
    def settings(self) -> Settings:
        return current_settings(self.variables)

    @property
    def phase(self) -> Phase:
        return self.settings.keeper.phase

    def on_devnet(self, vault: VaultConfig) -> bool:
        """Whether a vault lives on the devnet that Ballast runs itself."""
        return vault.network == DEVNET and not self.settings.keeper.names_a_network

    def is_served(self, vault: VaultConfig) -> bool:
        """Whether there is any chain for a vault; its address may still be missing."""
        return vault.network == DEVNET or self.settings.keeper.names_a_network

    @contextmanager
    def kept(
        self, vault: VaultConfig, warehouse: Warehouse, run_id: str, vaults: int = 1, phase: Phase | None = None
    ) -> Iterator[KeptVault]:
        """Connect to the chain of `vault`, deploying it on a fresh devnet.

        Parameters
        ----------
        vaults : how many vaults there are: a setting without a vault's name belongs to the only one.
        phase : instead of the one of the settings, for a look at what it would need.

        Raises
        ------
        keeper.connection.ChainUnavailable
            If no chain answers.
        ConfigError, SettingsError, SigningRefused
            If the set-up is incomplete or unsafe (`NOT_CONFIGURED`).
        """
        store = KeeperStore(warehouse.engine)
        capped = replace(vault, limits=self._capped(vault.limits))
        wanted = phase or self.phase
        refused = tuple(
            check
            for check in (checks(wanted, self.standing(capped, store, vaults)) if _asks_leave(wanted) else ())
            if not check.passed and not check.entry_only
        )
        connection = self._connect(capped, vaults, Phase.SHADOW if refused else wanted, run_id)
        try:
            keeper = Keeper(connection.config, store, connection.gateway, connection.signer)
            yield KeptVault(connection, keeper, refused)
        finally:
            connection.close()

    def standing(self, vault: VaultConfig, store: KeeperStore, vaults: int = 1) -> Standing:
        """The set-up of a vault's keeper, as far as settings and the database know it. Raises SettingsError."""
        settings, embedded = self.settings, self.on_devnet(vault)
        network = None if embedded else settings.keeper.network()
        name, passphrase = (DEVNET, "") if network is None else (network.name, network.passphrase)
        modes = sorted(mode.value for mode in allowed_data_modes(name))
        return Standing(
            network=name,
            embedded=embedded,
            signer=settings.signer.kind,
            account=settings.signer.address,
            nodes=len(settings.keeper.rpc_urls),
            code_hash=settings.keeper.code_hash_of(vault.id, vaults),
            tokens_named=all(a.contract or a.symbol in settings.keeper.tokens for a in vault.assets),
            limits=self._capped(vault.limits),
            data_mode=settings.market.mode,
            channels=tuple(channel.name for channel in alert_config(settings).channels),
            clean_days=store.clean_days(vault.id, passphrase, modes),
            control=store.control(vault.id).mode,
            undecided=sum(i.state is IntentState.NEEDS_HUMAN for i in store.open_intents_of(vault.id)),
        )

    def _connect(self, vault: VaultConfig, vaults: int, phase: Phase, run_id: str) -> Connection:
        settings = self.settings
        if self.on_devnet(vault):
            key = settings.workspace / "keys" / "devnet.seed"
            return connect(vault, f"http://{settings.devnet_host}:{settings.devnet_port}", key, phase.value, run_id)
        network, keeper = settings.keeper.network(), settings.keeper
        if vault.network not in (DEVNET, network.name):
            raise SettingsError(
                f"{PASSPHRASE}: is of {network.name}, but vault {vault.id} is on {vault.network} in the universe"
            )
        contract = keeper.contract_of(vault.id, vaults) or vault.contract
        if contract is None:
            raise SettingsError(f"{CONTRACT}: names no contract for vault {vault.id}, nor does the universe")
        safe = safe_phase(phase, network.name)
        is_asked = safe.signs or settings.signer.address is None
        signer = signer_of(settings, network.name, network.passphrase) if is_asked else None
        account = settings.signer.address or (signer.address if signer else None)
        if account is None:
            raise SettingsError(f"{ACCOUNT}: is not set; it is the account that sends, and the signer's address")
        access = NetworkAccess(
            passphrase=network.passphrase,
            urls=network.urls,
            account=account,
            contract=contract,
            code_hash=keeper.code_hash_of(vault.id, vaults),
            tokens=keeper.tokens,
            known_contracts=frozenset(keeper.known_contracts),
        )
        return connect_network(vault, access, safe, signer if safe.signs else None, run_id)

    def _capped(self, limits: VaultLimits) -> VaultLimits:
        keeper = self.settings.keeper
        return replace(
            limits,
            max_action_usd=_least(limits.max_action_usd, keeper.max_action_usd),
            max_day_usd=_least(limits.max_day_usd, keeper.max_day_usd),
        )


def _asks_leave(phase: Phase) -> bool:
    return phase in (Phase.APPROVE, Phase.LIVE)


def _least(*caps: Decimal | None) -> Decimal | None:
    given: Sequence[Decimal] = [cap for cap in caps if cap is not None]
    return min(given, default=None)
