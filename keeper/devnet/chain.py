"""The devnet's ledger: which transactions are let in, when they apply, and what they cost.

Rules of a real node's queue: one transaction per source, identical bytes are a DUPLICATE, applied and dropped hashes
are banned for ten ledgers, a sequence number and the fee are used up even when the operation fails. Time comes from
`now_s`; nothing closes by itself, the server (or a test) calls `close_ledger`.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stellar_sdk import FeeBumpTransactionEnvelope, StrKey, xdr
from stellar_sdk.operation import InvokeHostFunction

from keeper.devnet import shapes
from keeper.devnet.contracts import HostError, call_of, invoke
from keeper.devnet.envelopes import (
    PASSPHRASE,
    Code,
    Envelope,
    bid_of,
    fee_for,
    inner,
    parse,
    payer_of,
    signature_problem,
)
from keeper.devnet.footprint import authorized, inside_footprint, resource_fee, resources_paid
from keeper.devnet.state import AccountModel, Applied, Queued, genesis, load, save
from keeper.devnet.vault_model import ContractError

RETENTION_LEDGERS = 120_960
QUEUE_LEDGERS = 4
BAN_LEDGERS = 10
MIN_INCLUSION_FEE = 100
FEE_BUMP_FACTOR = 10  # a queued transaction is replaced only by this many times its bid
QUEUE_LIMIT = 100
UNHEALTHY_S = 30
FUNDED_STROOPS = 10_000 * 10_000_000
_CLOSE_SAMPLE = 1_000
HostCode = xdr.InvokeHostFunctionResultCode


@dataclass(frozen=True)
class Admission:
    """Answer to `sendTransaction`. `result`: result XDR of an ERROR."""

    status: str
    tx_hash: str
    result: str | None = None


class Chain:
    """A chain in memory and, with `path`, in a file.

    Parameters
    ----------
    now_s : wall clock, Unix seconds.
    path : state file; an existing one is continued, the ledgers in between count as empty.
    ledger_close_s : spacing of ledgers, used to count what passed while nobody ran.
    seed : decides the addresses of contracts of a new chain.

    Attributes set from outside: `congested` (nothing is included, the queue ages), `stalled` (no ledger closes),
    `surge_fee` (least inclusion fee that still gets in), `queue_limit`, `retention` and `ingest_lag` in ledgers,
    `protocol`, `restore` (simulations ask for a restore first), `fail_with` (how the next call ends on the ledger).
    """

    def __init__(
        self, now_s: Callable[[], float], path: Path | None = None, ledger_close_s: float = 5.0, seed: int = 0
    ) -> None:
        self.lock = threading.RLock()
        self.congested = self.stalled = self.restore = False
        self.surge_fee, self.queue_limit = MIN_INCLUSION_FEE, QUEUE_LIMIT
        self.retention, self.ingest_lag = RETENTION_LEDGERS, 0
        self.protocol, self.passphrase = shapes.PROTOCOL, PASSPHRASE
        self.fail_with: HostCode | None = None
        self.on_close: list[Callable[[], None]] = []
        self._now_s = now_s
        self._path = path
        self._spacing_s = ledger_close_s
        found = load(path) if path is not None else None
        self.state = found or genesis(seed, now_s())
        if found is not None:
            self._catch_up()
        self.save()

    def save(self) -> None:
        """Make the present state the one that a restart continues."""
        self.state.wall_s = self._now_s()
        if self._path is not None:
            save(self._path, self.state)

    @property
    def oldest(self) -> tuple[int, int]:
        """Oldest ledger that is remembered and (about) its close time."""
        s = self.state
        ledger = max(s.first_ledger, s.ledger - self.retention + 1)
        return ledger, max((c for n, c in s.closes if n <= ledger), default=s.closes[0][1])

    def healthy(self) -> bool:
        return self._now_s() - self.state.close_time_s <= UNHEALTHY_S

    def submit(self, envelope: Envelope) -> Admission:
        """Let a transaction into the queue, or say why not. Checks run in the order of a real node."""
        s, tx, tx_hash = self.state, inner(envelope).transaction, envelope.hash_hex()
        source, later = tx.source.account_id, Admission("TRY_AGAIN_LATER", tx_hash)
        if s.banned.get(tx_hash, 0) > s.ledger:
            return later
        replaced = next((h for h, q in s.queue.items() if q.source == source), None)
        if replaced is not None:
            queued = s.queue[replaced]
            if replaced == tx_hash:
                return Admission("DUPLICATE", tx_hash)
            if tx.sequence < queued.sequence:
                return Admission("ERROR", tx_hash, shapes.refusal(Code.txBAD_SEQ, tx.fee))
            if not isinstance(envelope, FeeBumpTransactionEnvelope) or tx.sequence != queued.sequence:
                return later
            needed = FEE_BUMP_FACTOR * bid_of(parse(queued.envelope))
            if bid_of(envelope) < needed:
                return Admission("ERROR", tx_hash, shapes.refusal(Code.txINSUFFICIENT_FEE, fee_for(envelope, needed)))
        elif len(s.queue) >= self.queue_limit:
            s.banned[tx_hash] = s.ledger + BAN_LEDGERS
            return later
        if bid_of(envelope) < self.surge_fee and bid_of(envelope) >= MIN_INCLUSION_FEE:
            s.banned[tx_hash] = s.ledger + BAN_LEDGERS
            least = fee_for(envelope, self.surge_fee)
            return Admission("ERROR", tx_hash, shapes.refusal(Code.txINSUFFICIENT_FEE, least))
        code = self._invalid(envelope, s.ledger + 1, s.close_time_s + math.ceil(self._spacing_s))
        if code is not None:
            return Admission("ERROR", tx_hash, shapes.refusal(code, max(tx.fee, MIN_INCLUSION_FEE)))
        if replaced is not None:
            del s.queue[replaced]
        s.queue[tx_hash] = Queued(envelope.to_xdr(), source, tx.sequence, s.ledger)
        self.save()
        return Admission("PENDING", tx_hash)

    def close_ledger(self) -> None:
        """Close one ledger: apply what is queued, drop what waited too long, move time on."""
        s = self.state
        if self.stalled:
            return
        s.ledger += 1
        s.close_time_s = max(s.close_time_s + 1, math.floor(self._now_s()))
        if not s.closes or s.ledger - s.closes[-1][0] >= _CLOSE_SAMPLE:
            s.closes.append((s.ledger, s.close_time_s))
        before = len(s.queue)
        ready = {} if self.congested else dict(s.queue)
        for order, (tx_hash, queued) in enumerate(ready.items(), start=1):
            del s.queue[tx_hash]
            s.banned[tx_hash] = s.ledger + BAN_LEDGERS
            self._apply(tx_hash, parse(queued.envelope), order)
        for tx_hash in [h for h, q in s.queue.items() if s.ledger - q.since_ledger >= QUEUE_LEDGERS]:
            del s.queue[tx_hash]
            s.banned[tx_hash] = s.ledger + BAN_LEDGERS
        if before:
            self._forget()
            self.save()
        for follow in self.on_close:
            follow()

    def fund(self, address: str) -> None:
        """Create an account with 10,000 XLM, once. Raises ValueError for an impossible address."""
        if not StrKey.is_valid_ed25519_public_key(address):
            raise ValueError("address: not an account address")
        if address not in self.state.accounts:
            self.state.accounts[address] = AccountModel(self.state.ledger << 32, FUNDED_STROOPS)
            self.save()

    def _invalid(self, envelope: Envelope, ledger: int, close_s: int) -> Code | None:
        """Why `ledger`, closing at `close_s`, cannot include the transaction; None if it can."""
        s, tx = self.state, inner(envelope).transaction
        if len(tx.operations) != 1 and any(isinstance(o, InvokeHostFunction) for o in tx.operations):
            return Code.txMALFORMED
        bounds = tx.preconditions
        if bounds is not None and bounds.time_bounds is not None:
            if bounds.time_bounds.min_time > close_s:
                return Code.txTOO_EARLY
            if 0 < bounds.time_bounds.max_time < close_s:
                return Code.txTOO_LATE
        if bounds is not None and bounds.ledger_bounds is not None:
            if 0 < bounds.ledger_bounds.max_ledger <= ledger:
                return Code.txTOO_LATE
            if bounds.ledger_bounds.min_ledger > ledger:
                return Code.txTOO_EARLY
        account = s.accounts.get(tx.source.account_id)
        if account is None:
            return Code.txNO_ACCOUNT
        if tx.sequence != account.sequence + 1:
            return Code.txBAD_SEQ
        signed = signature_problem(inner(envelope)) or signature_problem(envelope)
        if signed is not None:
            return signed
        call, data = call_of(inner(envelope)), tx.soroban_data
        if call is None:
            return Code.txNOT_SUPPORTED
        memo = tx.memo.to_xdr_object().type is not xdr.MemoType.MEMO_NONE
        if memo or data is None or data.resource_fee.int64 < resource_fee(0):
            return Code.txSOROBAN_INVALID
        if bid_of(envelope) < MIN_INCLUSION_FEE:
            return Code.txINSUFFICIENT_FEE
        payer = s.accounts.get(payer_of(envelope))
        if payer is None:
            return Code.txNO_ACCOUNT
        return Code.txINSUFFICIENT_BALANCE if payer.balance < envelope.transaction.fee else None

    def _apply(self, tx_hash: str, outer: Envelope, order: int) -> None:
        s, envelope = self.state, inner(outer)
        tx = envelope.transaction
        # At apply time the bounds are compared with the ledger's own close time; a late one is dropped, unpaid.
        if self._invalid(outer, s.ledger, s.close_time_s) is not None:
            return
        account = s.accounts[tx.source.account_id]
        account.sequence = tx.sequence
        s.accounts[payer_of(outer)].balance -= outer.transaction.fee
        call = call_of(envelope)
        assert call is not None
        diagnostics: list[str] = []
        events: list[str] = []
        code, self.fail_with = self.fail_with or HostCode.INVOKE_HOST_FUNCTION_SUCCESS, None
        try:
            effect = invoke(s, call, s.close_time_s)
            if not (authorized(envelope, call, effect) and inside_footprint(envelope, call, effect)):
                code = HostCode.INVOKE_HOST_FUNCTION_TRAPPED
            elif not resources_paid(envelope, effect):
                code = HostCode.INVOKE_HOST_FUNCTION_RESOURCE_LIMIT_EXCEEDED
            elif code is HostCode.INVOKE_HOST_FUNCTION_SUCCESS and effect.after is not None:
                s.vaults[call.contract] = effect.after
                events = [shapes.rebalance_event(call.contract, method) for method in effect.methods]
        except ContractError as error:
            diagnostics.append(shapes.error_event(call.contract, error.number))
            code = HostCode.INVOKE_HOST_FUNCTION_TRAPPED
        except HostError:
            code = HostCode.INVOKE_HOST_FUNCTION_TRAPPED
        success = code is HostCode.INVOKE_HOST_FUNCTION_SUCCESS
        bumped = outer is not envelope
        result = shapes.applied_result(code, outer.transaction.fee, envelope.hash() if bumped else None)
        found = Applied(
            s.ledger, s.close_time_s, order, success, outer.to_xdr(), result, shapes.meta(success), diagnostics,
            events, bumped,
        )  # fmt: skip
        s.applied[tx_hash] = found
        if bumped:
            s.applied[envelope.hash_hex()] = found  # a node finds it under either hash

    def _catch_up(self) -> None:
        """Close the ledgers that passed while no process ran. At least as far as anybody can have seen."""
        s = self.state
        passed = max(0.0, self._now_s() - s.wall_s)
        missed = math.ceil(passed / self._spacing_s) + 1
        s.ledger += missed
        s.close_time_s = max(s.close_time_s + missed, math.floor(self._now_s()))

    def _forget(self) -> None:
        s = self.state
        oldest = self.oldest[0]
        s.applied = {h: a for h, a in s.applied.items() if a.ledger >= oldest}
        s.banned = {h: until for h, until in s.banned.items() if until > s.ledger}
        s.closes = [c for c in s.closes if c[0] >= oldest - _CLOSE_SAMPLE] or s.closes[-1:]
