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

from stellar_sdk import Keypair, StrKey, TransactionEnvelope, xdr
from stellar_sdk.exceptions import BadSignatureError

from keeper.devnet import shapes
from keeper.devnet.contracts import Call, Effect, HostError, call_of, invoke
from keeper.devnet.state import AccountModel, Applied, ChainState, Queued, load, save
from keeper.devnet.vault_model import ContractError
from keeper.networks import PASSPHRASES

PASSPHRASE = PASSPHRASES["devnet"]
RETENTION_LEDGERS = 120_960
QUEUE_LEDGERS = 4
BAN_LEDGERS = 10
MIN_INCLUSION_FEE = 100
FUNDED_STROOPS = 10_000 * 10_000_000
_CLOSE_SAMPLE = 1_000
_EPOCH_S = 1_735_689_600
Code = xdr.TransactionResultCode


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
    """

    def __init__(
        self, now_s: Callable[[], float], path: Path | None = None, ledger_close_s: float = 5.0, seed: int = 0
    ) -> None:
        self.lock = threading.RLock()
        self.congested = False  # nothing is included while set: the queue ages
        self._now_s = now_s
        self._path = path
        self._spacing_s = ledger_close_s
        found = load(path) if path is not None else None
        self.state = found or _genesis(seed, now_s())
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
        ledger = max(s.first_ledger, s.ledger - RETENTION_LEDGERS + 1)
        return ledger, max((c for n, c in s.closes if n <= ledger), default=s.closes[0][1])

    def healthy(self) -> bool:
        return self._now_s() - self.state.close_time_s <= 30

    def submit(self, envelope: TransactionEnvelope) -> Admission:
        """Let a transaction into the queue, or say why not. Checks run in the order of a real node."""
        s, tx, tx_hash = self.state, envelope.transaction, envelope.hash_hex()
        source = tx.source.account_id
        if s.banned.get(tx_hash, 0) > s.ledger:
            return Admission("TRY_AGAIN_LATER", tx_hash)
        for queued_hash, queued in s.queue.items():
            if queued.source == source:
                if queued_hash == tx_hash:
                    return Admission("DUPLICATE", tx_hash)
                if tx.sequence < queued.sequence:
                    return Admission("ERROR", tx_hash, shapes.refusal(Code.txBAD_SEQ, tx.fee))
                return Admission("TRY_AGAIN_LATER", tx_hash)
        code = self._invalid(envelope, s.ledger + 1, s.close_time_s + math.ceil(self._spacing_s))
        if code is not None:
            return Admission("ERROR", tx_hash, shapes.refusal(code, max(tx.fee, MIN_INCLUSION_FEE)))
        s.queue[tx_hash] = Queued(envelope.to_xdr(), source, tx.sequence, s.ledger)
        self.save()
        return Admission("PENDING", tx_hash)

    def close_ledger(self) -> None:
        """Close one ledger: apply what is queued, drop what waited too long, move time on."""
        s = self.state
        s.ledger += 1
        s.close_time_s = max(s.close_time_s + 1, math.floor(self._now_s()))
        if not s.closes or s.ledger - s.closes[-1][0] >= _CLOSE_SAMPLE:
            s.closes.append((s.ledger, s.close_time_s))
        before = len(s.queue)
        ready = {} if self.congested else dict(s.queue)
        for order, (tx_hash, queued) in enumerate(ready.items(), start=1):
            del s.queue[tx_hash]
            s.banned[tx_hash] = s.ledger + BAN_LEDGERS
            self._apply(tx_hash, TransactionEnvelope.from_xdr(queued.envelope, PASSPHRASE), order)
        for tx_hash in [h for h, q in s.queue.items() if s.ledger - q.since_ledger >= QUEUE_LEDGERS]:
            del s.queue[tx_hash]
            s.banned[tx_hash] = s.ledger + BAN_LEDGERS
        if before:
            self._forget()
            self.save()

    def fund(self, address: str) -> None:
        """Create an account with 10,000 XLM, once. Raises ValueError for an impossible address."""
        if not StrKey.is_valid_ed25519_public_key(address):
            raise ValueError("address: not an account address")
        if address not in self.state.accounts:
            self.state.accounts[address] = AccountModel(self.state.ledger << 32, FUNDED_STROOPS)
            self.save()

    def _invalid(self, envelope: TransactionEnvelope, ledger: int, close_s: int) -> Code | None:
        """Why `ledger`, closing at `close_s`, cannot include the transaction; None if it can."""
        s, tx = self.state, envelope.transaction
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
        signed = _signature_problem(envelope)
        if signed is not None:
            return signed
        call, data = call_of(envelope), tx.soroban_data
        if call is None:
            return Code.txNOT_SUPPORTED
        if data is None or data.resource_fee.int64 < resource_fee(0):
            return Code.txSOROBAN_INVALID
        if tx.fee - data.resource_fee.int64 < MIN_INCLUSION_FEE:
            return Code.txINSUFFICIENT_FEE
        return Code.txINSUFFICIENT_BALANCE if account.balance < tx.fee else None

    def _apply(self, tx_hash: str, envelope: TransactionEnvelope, order: int) -> None:
        s, tx = self.state, envelope.transaction
        # At apply time the bounds are compared with the ledger's own close time; a late one is dropped, unpaid.
        if self._invalid(envelope, s.ledger, s.close_time_s) is not None:
            return
        account = s.accounts[tx.source.account_id]
        account.sequence = tx.sequence
        account.balance -= tx.fee
        call = call_of(envelope)
        assert call is not None
        diagnostics: list[str] = []
        success = False
        try:
            effect = invoke(s, call, s.close_time_s)
            success = (
                _authorized(envelope, call, effect)
                and _inside_footprint(envelope, call, effect)
                and _resources_paid(envelope, effect)
            )
            if success and effect.after is not None:
                s.vaults[call.contract] = effect.after
        except ContractError as error:
            diagnostics.append(shapes.error_event(call.contract, error.number))
        except HostError:
            success = False
        s.applied[tx_hash] = Applied(
            s.ledger, s.close_time_s, order, success, envelope.to_xdr(),
            shapes.applied_result(success, tx.fee), shapes.meta(success), diagnostics,
        )  # fmt: skip

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


def resource_fee(instructions: int) -> int:
    """Resource fee a simulation asks for, in stroops: of the size that real vault calls show."""
    return 60_000 + 25_000 * instructions


def write_set(call: Call, effect: Effect) -> list[xdr.LedgerKey]:
    """Keys a call writes: the vault's balance entry of each token that moves, and the vault's own data."""
    if effect.after is None:
        return []
    own = shapes.contract_key(call.contract, shapes.INSTANCE_KEY)
    return [own, *(shapes.contract_key(t, shapes.balance_key(call.contract)) for t in effect.moved())]


def _genesis(seed: int, now_s: float) -> ChainState:
    # Two ledgers a second since 2025: a chain that is begun anew starts beyond every older one, so what a keeper
    # remembers of the old one never looks like a node that lags.
    close = math.floor(now_s)
    first = max(1_000, (close - _EPOCH_S) * 2)
    return ChainState(seed, first, close, now_s, first, closes=[(first, close)])


def _signature_problem(envelope: TransactionEnvelope) -> Code | None:
    keypair = Keypair.from_public_key(envelope.transaction.source.account_id)
    good = 0
    for decorated in envelope.signatures:
        try:
            keypair.verify(envelope.hash(), decorated.signature)
            good += decorated.signature_hint == keypair.signature_hint() and good == 0  # a second one is one too many
        except BadSignatureError:
            continue
    if good == 0:
        return Code.txBAD_AUTH
    return Code.txBAD_AUTH_EXTRA if good < len(envelope.signatures) else None


def _authorized(envelope: TransactionEnvelope, call: Call, effect: Effect) -> bool:
    """Whether whom the contract requires is the source account and its authorization entry is there."""
    if effect.authorizer is None:
        return True
    if effect.authorizer != envelope.transaction.source.account_id:
        return False
    entries = getattr(envelope.transaction.operations[0], "auth", [])
    return any(entry == shapes.own_authorization(call.xdr) for entry in entries)


def _resources_paid(envelope: TransactionEnvelope, effect: Effect) -> bool:
    data = envelope.transaction.soroban_data
    assert data is not None
    return bool(data.resource_fee.int64 >= resource_fee(effect.instructions))


def _inside_footprint(envelope: TransactionEnvelope, call: Call, effect: Effect) -> bool:
    data = envelope.transaction.soroban_data
    assert data is not None
    declared = {key.to_xdr() for key in data.resources.footprint.read_write}
    return declared >= {key.to_xdr() for key in write_set(call, effect)}
