"""What kills a keeper at a named point, and what a network does meanwhile: the parts of the crash tests."""

from __future__ import annotations

import json
import random
from typing import Any

from sqlalchemy import Engine
from stellar_sdk import TransactionEnvelope

from keeper.devnet.envelopes import PASSPHRASE
from keeper.devnet.faults import Kind, strike
from keeper.devnet.transport import ConnectionDropped, Faults
from keeper.gateway import Ok, Outcome, RebalanceCall, SendReply, SwapExactIn
from keeper.intent import Intent, IntentState
from keeper.signing.interface import SignedEnvelope, Signer, SigningPolicy
from keeper.soroban import SorobanGateway
from keeper.store import DecisionRow, KeeperStore, NewIntent
from tests.keeper.world import World


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

    def move(self, intent: Intent, to: IntentState, *arguments: Any, **named: Any) -> Intent:
        self._fuse.at(f"before {to}")
        moved = super().move(intent, to, *arguments, **named)
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


LOST = ("hang", "http_503", "html", "truncated", "wrong_id", "rpc_error")  # kinds that strike any request


class Network(Faults):
    """`lost_reply`: accepted, the answer is lost. `refused`: dropped before handling. `flaky`: half of all requests
    break on either side. `forgetful`: a replica that keeps up with ledgers but not with transactions. Names of `Kind`
    strike a third of all requests after they were handled. It calms down so that every run can end."""

    def __init__(self, behaviour: str = "normal", seed: int = 0) -> None:
        self._random = random.Random(seed)
        self.strikes = 0
        self.behave(behaviour)

    def behave(self, behaviour: str) -> None:
        """Be like this from now on, with patience as new."""
        self._behaviour = behaviour
        counts = {"lost_reply": 2, "refused": 2, "flaky": 12, "forgetful": 20}
        self._left = counts.get(behaviour, 6 if behaviour in LOST else 0)

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
        if self._behaviour in LOST and self._left > 0 and self._random.random() < 0.33:
            self._hit()
            return strike(Kind(self._behaviour), body)
        if self._behaviour == "forgetful" and method == "getTransaction" and self._left > 0:
            self._hit()
            answer = json.loads(body)
            kept = {k: v for k, v in answer["result"].items() if k == "txHash" or "est" in k}
            return json.dumps({**answer, "result": {**kept, "status": "NOT_FOUND"}})
        return body

    def _hit(self) -> None:
        self._left -= 1
        self.strikes += 1

    def _break(self) -> None:
        if self._left > 0:
            self._hit()
            raise ConnectionDropped


def congest(world: World, closes: int) -> None:
    """Nothing is included for the next ledgers: the queue drops and bans, bounds pass."""
    left = [closes]

    def close() -> None:
        left[0] -= 1
        world.chain.congested = left[0] > 0

    world.chain.congested = True
    world.time.on_sleep.append(close)


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
