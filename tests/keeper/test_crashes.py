"""At most one application, whatever breaks: a kill at each commit point times what the network does meanwhile.

Every run ends with the keeper's record and the chain agreeing. A naive sender under the same faults applies twice,
which shows that the faults bite.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine
from stellar_sdk import TransactionEnvelope

from keeper.devnet.chain import PASSPHRASE
from keeper.devnet.transport import ConnectionDropped, Faults
from keeper.gateway import Ok, Outcome, RebalanceCall, SendReply, SwapExactIn
from keeper.intent import TERMINAL, Attempt, Intent, IntentState
from keeper.limits import KeeperLimits
from keeper.signing.interface import SignedEnvelope, Signer, SigningPolicy
from keeper.soroban import SorobanGateway
from keeper.store import DecisionRow, KeeperStore, NewIntent
from tests.keeper.world import MARKET_NOW, World, a_row, build


class Killed(Exception):
    """The process ends here."""


class Fuse:
    """Blows once, at the named point."""

    def __init__(self, point: str) -> None:
        self.point = point
        self.blown = False

    def at(self, point: str) -> None:
        if point == self.point and not self.blown:
            self.blown = True
            raise Killed(point)


class DyingStore(KeeperStore):
    """The real store, killed just before or just after a commit."""

    def __init__(self, engine: Engine, fuse: Fuse) -> None:
        super().__init__(engine)
        self._fuse = fuse

    def record(self, row: DecisionRow, new: NewIntent | None = None) -> Any:
        stored = super().record(row, new)
        self._fuse.at("after planned")
        return stored

    def move(
        self,
        intent: Intent,
        to: IntentState,
        event: Mapping[str, Any],
        reason: str | None = None,
        prepared: Mapping[str, Any] | None = None,
        attempt: Attempt | None = None,
        outcome: Mapping[str, Any] | None = None,
    ) -> Intent:
        self._fuse.at(f"before {to}")
        moved = super().move(intent, to, event, reason, prepared, attempt, outcome)
        self._fuse.at(f"after {to}")
        return moved


class DyingSigner(Signer):
    def __init__(self, inner: Signer, fuse: Fuse) -> None:
        self._inner = inner
        self._fuse = fuse

    @property
    def address(self) -> str:
        return self._inner.address

    def sign_envelope(self, unsigned_xdr: str, policy: SigningPolicy) -> SignedEnvelope:
        signed = self._inner.sign_envelope(unsigned_xdr, policy)
        self._fuse.at("after the signer")
        return signed


class DyingGateway(SorobanGateway):
    fuse: Fuse

    def send(self, signed_xdr: str) -> Outcome[SendReply]:
        answer = super().send(signed_xdr)
        self.fuse.at("after the send")
        return answer


class Network(Faults):
    """`lost_reply`: accepted, the answer is lost. `refused`: dropped before handling. `flaky`: half of all requests
    break on either side. `forgetful`: a replica that keeps up with ledgers but not with transactions. It calms down
    so that every run can end."""

    def __init__(self, behaviour: str, seed: int) -> None:
        self._behaviour = behaviour
        self._random = random.Random(seed)
        self._left = {"lost_reply": 2, "refused": 2, "flaky": 12, "forgetful": 20}.get(behaviour, 0)

    def before(self, method: str) -> None:
        if self._behaviour == "refused" and method == "sendTransaction":
            self._break()
        if self._behaviour == "flaky" and self._random.random() < 0.25:
            self._break()

    def after(self, method: str, body: str) -> str:
        if self._behaviour == "lost_reply" and method == "sendTransaction":
            self._break()
        if self._behaviour == "flaky" and self._random.random() < 0.25:
            self._break()
        if self._behaviour == "forgetful" and method == "getTransaction" and self._left > 0:
            self._left -= 1
            answer = json.loads(body)
            kept = {k: v for k, v in answer["result"].items() if k == "txHash" or "est" in k}
            return json.dumps({**answer, "result": {**kept, "status": "NOT_FOUND"}})
        return body

    def _break(self) -> None:
        if self._left > 0:
            self._left -= 1
            raise ConnectionDropped


def congest(world: World, closes: int) -> None:
    """Nothing is included for the next ledgers: the queue drops and bans, bounds pass."""
    left = [closes]

    def close() -> None:
        left[0] -= 1
        world.chain.congested = left[0] > 0

    world.chain.congested = True
    world.time.on_sleep.append(close)


POINTS = [
    "after planned",
    "before simulated",
    "after simulated",
    "after signing",
    "after the signer",
    "after signed",
    "after the send",
    "after submitted",
    "before confirmed",
]
BEHAVIOURS = ["normal", "lost_reply", "refused", "flaky", "forgetful", "congested_short", "congested_long"]


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_no_crash_applies_twice(database_url: str, tmp_path: Path, behaviour: str) -> None:
    engine = create_engine(database_url)  # pooled: a thousand transactions
    try:
        for number, point in enumerate(POINTS):
            for seed in range(number, number + 30, 10) if behaviour == "flaky" else (number,):
                run(engine, tmp_path, behaviour, point, seed)
    finally:
        engine.dispose()


def run(engine: Engine, folder: Path, behaviour: str, point: str, seed: int) -> None:
    where = f"{behaviour}, killed {point}, seed {seed}"
    world = build(engine, folder, Network(behaviour, seed))
    fuse = Fuse(point)
    config = replace(world.connection.config, limits=KeeperLimits(drive_budget_s=60))
    gateway = DyingGateway("http://devnet", config.passphrase, world.client)
    gateway.fuse = fuse
    parts = {"store": DyingStore(engine, fuse), "gateway": gateway, "config": config,
             "signer": DyingSigner(world.connection.signer, fuse)}  # fmt: skip
    # `short`: dropped from the queue and banned, then resent; `long`: past the bounds, so it must be replaced.
    if behaviour.startswith("congested"):
        congest(world, 6 if behaviour == "congested_short" else 20)
    row = a_row(config.vault)
    for minute in range(12 if behaviour == "flaky" else 6):
        try:
            world.keeper(**parts).tick(row, MARKET_NOW + timedelta(minutes=minute))
        except Killed:
            world.time.sleep(1)
    # A network that breaks everything may keep the keeper from even planning, and then nothing is killed.
    assert fuse.blown or behaviour == "flaky", where

    intents = {d["intent_state"] for d in world.store.latest(config.vault.id, 50) if d["intent_id"]}
    assert len(intents) <= 1, where
    assert world.on_chain.applied <= 1, where
    assert all(IntentState(s) in TERMINAL for s in intents), f"{where}: {intents}"
    assert (world.on_chain.applied == 1) == (intents == {"confirmed"}), f"{where}: {intents}"
    if behaviour in ("normal", "lost_reply", "forgetful", "congested_short"):
        assert intents == {"confirmed"}, f"{where}: {intents}"


def test_replacements_reuse_the_sequence_number(engine: Engine, tmp_path: Path) -> None:
    world = build(engine, tmp_path)
    congest(world, 20)
    outcome = world.keeper().tick(a_row(world.connection.config.vault), MARKET_NOW)
    assert outcome.intent_state is IntentState.CONFIRMED
    intent = world.store.latest(world.connection.config.vault.id)[0]["intent_id"]
    attempts = world.store.attempts(intent)
    assert [a.state for a in attempts] == ["expired"] * (len(attempts) - 1) + ["confirmed"]
    assert len({a.tx_hash for a in attempts}) == len(attempts) >= 2
    assert len({a.sequence for a in attempts}) == 1
    assert attempts[1].inclusion_fee == 2 * attempts[0].inclusion_fee


@pytest.mark.parametrize("behaviour", ["normal", "lost_reply"])
def test_the_naive_way_applies_twice_under_the_same_faults(engine: Engine, tmp_path: Path, behaviour: str) -> None:
    """Build with a fresh sequence number, sign, send, remember afterwards; on any trouble begin again."""
    world = build(engine, tmp_path, Network(behaviour, 1))
    config, gateway = world.connection.config, world.connection.gateway
    fuse = Fuse("after the send" if behaviour == "normal" else "never")
    done = False
    for _ in range(6):
        if done:
            break
        try:
            done = naive(world)
            fuse.at("after the send")
        except Killed:
            done = False
        world.time.sleep(1)
    assert world.on_chain.applied >= 2
    assert isinstance(gateway.account(config.source_account), Ok)


def naive(world: World) -> bool:
    config, gateway = world.connection.config, world.connection.gateway
    account, clock = gateway.account(config.source_account), gateway.clock()
    assert isinstance(account, Ok)
    assert isinstance(clock, Ok)
    usdc, btc = (str(asset.contract) for asset in config.vault.assets[:2])
    step = SwapExactIn(usdc, btc, 10**12, 1)  # a tenth of the vault, so that a second one does not lack funds
    call = RebalanceCall(config.source_account, account.value.sequence + 1, str(config.vault.contract), (step,),
                         clock.value.close_time_s + 75, clock.value.ledger + 100, 100)  # fmt: skip
    prepared = gateway.prepare(call)
    assert isinstance(prepared, Ok)
    envelope = TransactionEnvelope.from_xdr(prepared.value.unsigned_xdr, PASSPHRASE)
    envelope.sign(world.connection.signer._keypair)
    return isinstance(gateway.send(envelope.to_xdr()), Ok)
