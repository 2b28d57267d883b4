"""Configuration and hard bounds of the keeper, each with its reason. No score and no model can lift them.

Bounds of the policy (dead zone, cooldown, caps) are the vault's (`models.contracts.vault.VaultLimits`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from keeper.networks import DEVELOPMENT, NETWORKS, PASSPHRASES, PRIVATE, network_named
from models.contracts.vault import VaultConfig


class ConfigError(ValueError):
    """The keeper's configuration is unsafe or incomplete; the message names the field and the way out."""


class Phase(StrEnum):
    """Steps of going live. SHADOW, TESTNET: the full path up to the simulation, no signature. DEVNET: everything, on a
    development network only. APPROVE: each intent waits for a human. LIVE: everything, within caps.

    `keeper.golive` says what each of them needs."""

    SHADOW = "shadow"
    DEVNET = "devnet"
    TESTNET = "testnet"
    APPROVE = "approve"
    LIVE = "live"

    @property
    def signs(self) -> bool:
        return self not in (Phase.SHADOW, Phase.TESTNET)


class ControlMode(StrEnum):
    """Kill switch, from harmless to strict. REDUCE_ONLY: only moves that raise the stable leg."""

    RUN = "run"
    REDUCE_ONLY = "reduce_only"
    HALT = "halt"


@dataclass(frozen=True, slots=True)
class Control:
    mode: ControlMode
    reason: str


@dataclass(frozen=True, slots=True)
class KeeperLimits:
    validity_s: int = 75  # 60-90 s: a queue keeps a transaction for 4 ledgers (20 s), longer bounds buy little
    validity_ledgers: int = 120  # second bound, never the tighter one at 1 s ledgers
    min_left_to_sign_s: int = 30  # with less left of the bounds a fresh build is cheaper than a gamble
    max_attempts: int = 3  # three expired transactions in a row are a network problem, not bad luck
    resend_after_ledgers: int = 4  # the queue's own life: resending earlier only meets DUPLICATE
    unknown_patience_ledgers: int = 60  # five minutes of looking before a human is asked
    max_instructions: int = 6  # the contract's own tests fail at 30 and pass at 9
    min_trade: Decimal = Decimal("0.001")  # share of the vault: smaller trades cost more than they correct
    max_state_change: Decimal = Decimal("0.001")  # interest moves a strategy by less between decision and build
    min_inclusion_fee_stroops: int = 100  # the network's floor
    max_inclusion_fee_stroops: int = 2_000_000  # 0.2 XLM: beyond it the hour's move is not worth the queue
    max_resource_fee_stroops: int = 8_000_000  # several times what real vault calls cost; more is another call
    max_shrinks: int = 3  # an unwind refused for the vault's own fees is tried a little smaller this often
    shrink_step: Decimal = Decimal("0.001")  # share of each strategy left behind with every such try
    max_protocol: int = 28  # newest protocol whose XDR the pinned SDK decodes and recorded answers cover
    max_lag_ledgers: int = 720  # an hour: a node further behind our own last transaction is another network
    max_failures_in_row: int = 2  # transactions that failed on the ledger one after another before somebody is told
    require_state_changes: bool = True  # a simulation that does not say what it changes cannot be checked
    reserve_stroops: int = 20_000_000  # 2 XLM: two base reserves; below it the account cannot pay
    drive_budget_s: float = 120.0  # one tick waits at most this long for the chain; the reconcile job goes on
    poll_s: float = 1.0  # pause between two looks at the chain


@dataclass(frozen=True, slots=True)
class KeeperConfig:
    """One vault on one network, kept by one account that nothing else uses.

    `vault.contract` and the `contract` of every asset must be set. `code_hash`: expected hash of the vault's code,
    hex, None = not pinned. `run_id`: provenance of the caller, stored with every decision. `known_contracts`: what a
    rebalance may write besides the vault, its tokens and its strategies (the pairs it swaps through).
    `private_passphrase`: of a network of one's own, None for the others, which are known by name.
    """

    vault: VaultConfig
    source_account: str
    phase: Phase = Phase.SHADOW
    limits: KeeperLimits = field(default_factory=KeeperLimits)
    code_hash: str | None = None
    run_id: str | None = None
    known_contracts: frozenset[str] = frozenset()
    private_passphrase: str | None = None

    def __post_init__(self) -> None:
        network = self.vault.network
        if network not in NETWORKS:
            raise ConfigError(f"vault {self.vault.id}: network {network!r} is not one of {', '.join(NETWORKS)}")
        if self.phase is not safe_phase(self.phase, network):
            raise ConfigError(f"vault {self.vault.id}: phase {self.phase} on network {network}; use phase shadow there")
        if self.phase in (Phase.APPROVE, Phase.LIVE) and network == "public" and self.code_hash is None:
            raise ConfigError(f"vault {self.vault.id}: phase {self.phase} on public needs the pinned hash of its code")
        if (network == PRIVATE) != (self.private_passphrase is not None):
            raise ConfigError(f"vault {self.vault.id}: a passphrase belongs to a private network, and to no other")
        if self.private_passphrase is not None and network_named(self.private_passphrase) != PRIVATE:
            raise ConfigError(f"vault {self.vault.id}: network private has the passphrase of a known network")
        if self.vault.contract is None:
            raise ConfigError(f"vault {self.vault.id}: contract is not set; name the vault's contract address")
        missing = [a.symbol for a in self.vault.assets if a.contract is None]
        if missing:
            raise ConfigError(f"vault {self.vault.id}: no token contract for {', '.join(missing)}")

    @property
    def passphrase(self) -> str:
        return self.private_passphrase or PASSPHRASES[self.vault.network]


def stopped_by(mode: ControlMode, action: str) -> str | None:
    """Why the switch allows nothing new for an intent with `action`, None if it does."""
    if mode is ControlMode.HALT:
        return "kill_switch_halt"
    return "kill_switch_reduce_only" if mode is ControlMode.REDUCE_ONLY and action != "reduce" else None


def safe_phase(wanted: str, network: str) -> Phase:
    """The phase to use for `network`: what was asked for, unless that acts without leave on a network of others.

    Phase devnet becomes testnet on the testnet, and both become shadow on the public network.
    """
    phase = Phase(wanted)
    if network in DEVELOPMENT or phase in (Phase.SHADOW, Phase.APPROVE, Phase.LIVE):
        return phase
    return Phase.TESTNET if network == "testnet" else Phase.SHADOW
