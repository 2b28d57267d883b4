"""A devnet in process, a keeper on it and a clock that closes ledgers: the stage of the keeper's tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

from sqlalchemy import Engine

from keeper.clock import Clock
from keeper.decision import TargetInput
from keeper.devnet.admin import DevnetConnection, connect
from keeper.devnet.chain import Chain
from keeper.devnet.rpc import Rpc
from keeper.devnet.transport import Faults, InProcessClient
from keeper.devnet.vault_model import VaultModel
from keeper.keeper import Keeper
from keeper.limits import KeeperLimits
from keeper.store import KeeperStore
from models.allocation.policy import POLICY_VERSIONS, weights_in
from models.contracts.market import DataMode
from models.contracts.vault import PolicyName, PolicyState, Target, VaultAsset, VaultConfig, VaultLimits

MARKET_NOW = datetime(2026, 1, 1, tzinfo=UTC)
PRICES = {"BTC": Decimal("90000"), "XLM": Decimal("0.25"), "cNGN": Decimal("1") / Decimal("1500")}
START_S = 1_790_000_000


def a_vault(vault_id: str = "mixed", limits: VaultLimits | None = None) -> VaultConfig:
    return VaultConfig(
        id=vault_id,
        network="devnet",
        contract=None,
        assets=(
            VaultAsset("USDC", None, Decimal("0.4"), stable=True),
            VaultAsset("BTC", "BTC", Decimal("0.3")),
            VaultAsset("XLM", "XLM", Decimal("0.2")),
            VaultAsset("cNGN", "USDNGN:official", Decimal("0.1"), invert=True),
        ),
        limits=limits or VaultLimits(max_step=Decimal("0.8")),
        policy=PolicyName.ON_OFF,
    )


@dataclass
class ManualTime(Clock):
    """Every sleep closes a ledger of five seconds, so waiting for the chain is what makes it move."""

    seconds: float = START_S
    on_sleep: list[Callable[[], None]] = field(default_factory=list)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def sleep(self, seconds: float) -> None:
        self.seconds += 5
        for action in self.on_sleep:
            action()


@dataclass
class World:
    """`keeper()` builds a fresh keeper, as a restarted process would."""

    time: ManualTime
    chain: Chain
    connection: DevnetConnection
    store: KeeperStore
    client: InProcessClient

    def keeper(self, **changes: object) -> Keeper:
        parts = {
            "config": self.connection.config,
            "store": self.store,
            "gateway": self.connection.gateway,
            "signer": self.connection.signer,
            "clock": self.time,
        }
        return Keeper(**{**parts, **changes})  # type: ignore[arg-type]

    @property
    def on_chain(self) -> VaultModel:
        contract = self.connection.config.vault.contract
        assert contract is not None
        return self.chain.state.vaults[contract]


def build(
    engine: Engine, folder: Path, faults: Faults | None = None, vault: VaultConfig | None = None, phase: str = "devnet"
) -> World:
    """A new chain with a fresh vault of its own id, prices set, a funded key."""
    time = ManualTime()
    chain = Chain(lambda: time.seconds, None, 5.0)
    time.on_sleep.append(chain.close_ledger)
    chain.close_ledger()
    quiet = InProcessClient(Rpc(chain))
    spec = vault or a_vault(f"mixed-{uuid4().hex[:8]}")
    made = connect(spec, "http://devnet", folder / f"{uuid4().hex}.key", phase, client=quiet)
    made.admin.set_prices(PRICES)
    client = InProcessClient(Rpc(chain), faults)
    limits = KeeperLimits(drive_budget_s=200, poll_s=1, validity_ledgers=25, unknown_patience_ledgers=5)
    config = replace(made.config, limits=limits)
    gateway = type(made.gateway)("http://devnet", config.passphrase, client)
    return World(time, chain, replace(made, config=config, gateway=gateway), KeeperStore(engine), client)


def a_row(
    vault: VaultConfig,
    state: PolicyState = PolicyState.RISK_ON,
    score: float | None = 20.0,
    as_of: datetime = MARKET_NOW,
    mode: DataMode = DataMode.SIMULATED,
) -> TargetInput:
    target = Target(vault.id, as_of, state, weights_in(vault, state), ("test",), score, POLICY_VERSIONS[vault.policy])
    return TargetInput(target, as_of + timedelta(hours=2), mode, 0.0, PRICES, "har-1")
