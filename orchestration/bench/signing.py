"""How long a keeper takes from its decision to a signed envelope, beside what it waits for: nodes and the key.

A tick on a devnet in this process and a database of its own, up to the commit of the signed envelope. Nothing is sent:
each tick has a fresh vault and a fresh account, and is left there as a crash would leave it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Engine, create_engine
from stellar_sdk.client.response import Response

from keeper.decision import TargetInput
from keeper.devnet.admin import connect
from keeper.devnet.chain import Chain
from keeper.devnet.rpc import Rpc
from keeper.devnet.transport import InProcessClient
from keeper.intent import Intent, IntentState
from keeper.keeper import Keeper
from keeper.signing.local_dev import LocalDevSigner
from keeper.store import DecisionRow, KeeperStore, NewIntent
from models.allocation.policy import POLICY_VERSIONS, weights_in
from models.contracts.market import DataMode
from models.contracts.vault import PolicyName, PolicyState, Target, VaultAsset, VaultConfig, VaultLimits
from orchestration.bench.document import Unmeasured
from orchestration.bench.figures import figure, percentile, series
from orchestration.migrations.run import migrate
from orchestration.resources.database_url import normalise

TARGET_MS = 50.0
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LEDGER_S, STARTS_S = 5.0, 1_790_000_000.0
PRICES = {"BTC": Decimal(90_000), "XLM": Decimal("0.25"), "cNGN": Decimal(1) / 1500}
ASSETS = (
    VaultAsset("USDC", None, Decimal("0.4"), stable=True),
    VaultAsset("BTC", "BTC", Decimal("0.3")),
    VaultAsset("XLM", "XLM", Decimal("0.2")),
    VaultAsset("cNGN", "USDNGN:official", Decimal("0.1"), invert=True),
)
Answer = TypeVar("Answer")


class Signed(Exception):
    """The signed envelope is committed: the tick is over."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Clocks in seconds: on the wall, of the processor, and how long nodes and the key took until now."""

    wall: float
    processor: float
    nodes: float
    signer: float
    others_processor: float


class Stopwatch:
    def __init__(self) -> None:
        self._taken = {"nodes": 0.0, "signer": 0.0}
        self._processor = 0.0

    def now(self) -> Moment:
        return Moment(time.perf_counter(), time.process_time(), **self._taken, others_processor=self._processor)

    def time(self, who: str, call: Callable[[], Answer]) -> Answer:
        """Answer of `call`, whose time is that of `who`."""
        before = self.now()
        try:
            return call()
        finally:
            self._taken[who] += time.perf_counter() - before.wall
            self._processor += time.process_time() - before.processor


def between(start: Moment, end: Moment) -> dict[str, float]:
    """Milliseconds: all of it, what nodes and the key took, and what is left as our own."""
    whole, nodes, signer = end.wall - start.wall, end.nodes - start.nodes, end.signer - start.signer
    processor = end.processor - start.processor - (end.others_processor - start.others_processor)
    spent = {"whole": whole, "nodes": nodes, "signer": signer, "own": whole - nodes - signer, "processor": processor}
    return {name: 1000 * seconds for name, seconds in spent.items()}


class TimedClient(InProcessClient):
    watch: Stopwatch

    def post(self, url: str, data: dict[str, str] | None = None, json_data: dict[str, Any] | None = None) -> Response:
        return self.watch.time("nodes", lambda: super(TimedClient, self).post(url, data, json_data))


class TimedSigner(LocalDevSigner):
    """The key alone is timed: the checks of envelope and signature are ours."""

    watch: Stopwatch

    def _sign_hash(self, tx_hash: bytes) -> bytes:
        return self.watch.time("signer", lambda: super(TimedSigner, self)._sign_hash(tx_hash))


class EndsWhenSigned(KeeperStore):
    """Notes when the decision stands, and ends the tick when the signed envelope is committed."""

    def __init__(self, engine: Engine, watch: Stopwatch) -> None:
        super().__init__(engine)
        self._watch = watch
        self.decided = watch.now()

    def record(self, row: DecisionRow, new: NewIntent | None = None) -> tuple[UUID, Intent | None] | None:
        self.decided = self._watch.now()
        return super().record(row, new)

    def move(self, intent: Intent, to: IntentState, *arguments: Any, **named: Any) -> Intent:
        moved = super().move(intent, to, *arguments, **named)
        if to is IntentState.SIGNED:
            raise Signed
        return moved


def measure(database: str, repeats: int) -> dict[str, Any]:
    """Migrate `database` and time so many ticks in it, after one that warms up.

    Raises Unmeasured if a tick signs nothing.
    """
    migrate(database)
    engine = create_engine(normalise(database))
    try:
        with tempfile.TemporaryDirectory() as folder:
            ticks = [_tick(engine, Path(folder), n) for n in range(repeats + 1)][1:]
    finally:
        engine.dispose()
    whole, decided = ([one[part] for one in ticks] for part in (0, 1))
    own = _column(decided, "own")
    return {
        "how": "one tick on a devnet in this process. From the decision to the commit of the signed envelope: the "
        "decision stored, three swaps built, simulated and checked, the envelope stored, signed, verified, stored. Own "
        "is all of it but the answers of the node and of the key; whole_tick begins with the target row",
        "own_time": series(own, "ms"),
        "own_time_p95": figure(percentile(own, 0.95), "ms"),
        "own_processor_time": series(_column(decided, "processor"), "ms"),
        "target": figure(TARGET_MS, "ms"),
        "within_the_target": figure(100 * sum(ms < TARGET_MS for ms in own) / len(own), "percent"),
        "with_node_and_key": series(_column(decided, "whole"), "ms"),
        "nodes": series(_column(decided, "nodes"), "ms"),
        "signer": series(_column(decided, "signer"), "ms"),
        "whole_tick": {name: series(_column(whole, name), "ms") for name in ("whole", "own", "processor")},
    }


def _column(rows: Sequence[Mapping[str, float]], name: str) -> list[float]:
    return [row[name] for row in rows]


def _tick(engine: Engine, folder: Path, n: int) -> tuple[dict[str, float], dict[str, float]]:
    """Times of a whole tick, and of its part that begins with the decision."""
    chain = Chain(lambda: STARTS_S, None, LEDGER_S)
    chain.close_ledger()
    watch, client = Stopwatch(), TimedClient(Rpc(chain))
    client.watch = watch
    vault = VaultConfig(f"bench-{n}", "devnet", None, ASSETS, VaultLimits(max_step=Decimal("0.8")), PolicyName.ON_OFF)
    made = connect(vault, "http://devnet", folder / f"{n}.seed", client=client)
    made.admin.set_prices(PRICES)
    signer = TimedSigner(folder / f"{n}.seed")
    signer.watch = watch
    signer.check()
    store = EndsWhenSigned(engine, watch)
    keeper = Keeper(made.config, store, made.gateway, signer)
    row = _row(made.config.vault)
    began = watch.now()
    try:
        outcome = keeper.tick(row, NOW)
    except Signed:
        ended = watch.now()
    else:
        raise Unmeasured(f"a tick ended without a signature: {outcome.verdict} because of {', '.join(outcome.reasons)}")
    return between(began, ended), between(store.decided, ended)


def _row(vault: VaultConfig) -> TargetInput:
    """A quiet market asks a vault of dollars to buy all its other legs."""
    wanted = weights_in(vault, PolicyState.RISK_ON)
    target = Target(vault.id, NOW, PolicyState.RISK_ON, wanted, ("bench",), 20.0, POLICY_VERSIONS[vault.policy])
    return TargetInput(target, NOW + timedelta(hours=2), DataMode.SIMULATED, 0.0, PRICES, "bench-1")
