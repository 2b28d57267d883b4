"""Several nodes of one network as one gateway: what they must agree on, whom to believe, and who is asked next.

Evidence is joined carefully. One node's success is evidence, since its result was decoded; a failure unless a node
that knows the ledger denies it; an absence counts only if every node that keeps up says so, with the oldest clock of
them; two ends that differ are no answer. Of several nodes one that is far ahead alone is not believed, and those that
keep up must show one vault. Bytes are sent to all: the same hash lands once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from keeper.gateway import (
    AccountView,
    ChainClock,
    Fatal,
    Gateway,
    Instruction,
    Ok,
    Outcome,
    Prepared,
    RebalanceCall,
    Retryable,
    SendReply,
    SendStatus,
    TokenView,
    TransactionView,
    TxStatus,
    Uncertain,
    VaultView,
)

T = TypeVar("T")
INTEREST = 1_000  # most that funds may differ between ledgers that are near: a part in this many
_RESTING = Retryable("a node that was silent is left out for a while")
_BEST_FIRST = (SendStatus.PENDING, SendStatus.DUPLICATE, SendStatus.TRY_AGAIN_LATER, SendStatus.ERROR)


class Endpoints(Gateway):
    """Asks `gateways`, the ones that answered lately first.

    Parameters
    ----------
    gateways : one for each address, at least one.
    spread_ledgers : a node further behind the newest one is left out of a reading.
    patience : silences in a row after which a node no longer counts as one that keeps up.
    rest : readings that such a node is then left out of before it is asked again, so that one that hangs does not
        cost its time-out each time. What becomes of a transaction all are always asked.
    """

    def __init__(
        self, gateways: Sequence[Gateway], spread_ledgers: int = 10, patience: int = 3, rest: int = 10
    ) -> None:
        if not gateways:
            raise ValueError("gateways: at least one node must be named")
        self._gateways = tuple(gateways)
        self._spread = spread_ledgers
        self._patience = patience
        self._rest = rest
        self._silences = [0] * len(self._gateways)
        self._rested = [0] * len(self._gateways)

    def close(self) -> None:
        for gateway in self._gateways:
            gateway.close()

    def passphrase(self) -> Outcome[str]:
        """What all that answer report; Fatal if two report different networks."""
        said = self._all(lambda g: g.passphrase())
        found = {a.value for a in said if isinstance(a, Ok)}
        return Fatal("the nodes belong to different networks") if len(found) > 1 else _first_ok(said)

    def protocol(self) -> Outcome[int]:
        """The highest that any node reports: an upgrade is seen by the first that saw it."""
        said = self._all(lambda g: g.protocol())
        found = [a.value for a in said if isinstance(a, Ok)]
        return Ok(max(found)) if found else _first_ok(said)

    def health(self) -> Outcome[int]:
        """Newest ledger of a healthy node; the first complaint if none is."""
        said = self._all(lambda g: g.health())
        found = [a.value for a in said if isinstance(a, Ok)]
        return Ok(max(found)) if found else _first_ok(said)

    def clock(self) -> Outcome[ChainClock]:
        """The oldest ledger and close time, and the shortest memory, of those that keep up."""
        found = self._fresh(lambda g: g.clock(), lambda clock: clock.ledger)
        return Ok(_oldest(found)) if isinstance(found, list) else found

    def account(self, address: str) -> Outcome[AccountView]:
        """Newest view; Uncertain if two nodes show the same ledger differently."""
        return self._newest(lambda g: g.account(address), lambda view: view.ledger)

    def vault(self, contract: str) -> Outcome[VaultView]:
        """Newest view; Uncertain unless those that keep up show the same code, role and, but for interest, funds."""
        return self._newest(lambda g: g.vault(contract), lambda view: view.ledger, _same_vault)

    def token(self, contract: str) -> Outcome[TokenView]:
        """Uncertain if two nodes tell the same token differently: its decimals are what amounts rest on."""
        said = self._all(lambda g: g.token(contract))
        found = {a.value for a in said if isinstance(a, Ok)}
        return Uncertain(f"the nodes show token {contract} differently") if len(found) > 1 else _first_ok(said)

    def inclusion_fee(self) -> Outcome[int]:
        return self._try(lambda g: g.inclusion_fee())

    def prepare(self, call: RebalanceCall) -> Outcome[Prepared]:
        return self._try(lambda g: g.prepare(call))

    def send(self, signed_xdr: str) -> Outcome[SendReply]:
        """Send to all; the most welcome answer counts, since one node that took it is enough."""
        said = self._all(lambda g: g.send(signed_xdr), rest=False)
        replies = [a.value for a in said if isinstance(a, Ok)]
        if not replies:
            return _first_ok(said)
        uncertain = next((a for a in said if isinstance(a, Uncertain)), None)
        best = min(replies, key=lambda reply: _BEST_FIRST.index(reply.status))
        # Refused here, perhaps taken there: that is not a refusal.
        return uncertain if best.status is SendStatus.ERROR and uncertain is not None else Ok(best)

    def transaction(self, tx_hash: str) -> Outcome[TransactionView]:
        said = self._all(lambda g: g.transaction(tx_hash), rest=False)
        looks = [a.value for a in said if isinstance(a, Ok)]
        ends = [look for look in looks if look.status in (TxStatus.SUCCESS, TxStatus.FAILED)]
        if len({(look.status, look.ledger, look.result_code) for look in ends}) > 1:
            return Uncertain("the nodes report different ends of one transaction")
        if ends:
            end = max(ends, key=lambda look: look.clock.ledger)
            if end.status is TxStatus.FAILED and any(_denies(look, end) for look in looks):
                return Uncertain("a node that knows the ledger denies the failure that another one reports")
            return Ok(end)
        odd = next((look for look in looks if look.status is TxStatus.CONTRADICTORY), None)
        if odd is not None:
            return Ok(odd)
        if not looks:
            return _first_ok(said)
        silent = [isinstance(a, Retryable | Uncertain) and n < self._patience for a, n in self._with_silences(said)]
        if any(silent):
            return Retryable("a node that may know better does not answer")
        fresh = self._keeping_up(looks, lambda look: look.clock.ledger)
        if not isinstance(fresh, list):
            return fresh
        return Ok(TransactionView(tx_hash, TxStatus.NOT_FOUND, _oldest([look.clock for look in fresh])))

    def arguments(self, caller: str, instructions: Sequence[Instruction], deadline_s: int) -> tuple[str, ...]:
        return self._gateways[0].arguments(caller, instructions, deadline_s)

    def _all(self, ask: Callable[[Gateway], Outcome[T]], rest: bool = True) -> list[Outcome[T]]:
        resting = [rest and self._rests(number) for number in range(len(self._gateways))]
        if all(resting):
            resting = [False] * len(resting)
        return [_RESTING if rests else self._ask(number, ask) for number, rests in enumerate(resting)]

    def _rests(self, number: int) -> bool:
        """Whether a node is left out of this reading: it was silent too often, and not long ago."""
        if self._silences[number] < self._patience:
            return False
        self._rested[number] = (self._rested[number] + 1) % (self._rest + 1)
        return self._rested[number] != 0

    def _ask(self, number: int, ask: Callable[[Gateway], Outcome[T]]) -> Outcome[T]:
        answer = ask(self._gateways[number])
        silent = isinstance(answer, Retryable | Uncertain)
        self._silences[number] = self._silences[number] + 1 if silent else 0
        return answer

    def _with_silences(self, said: Sequence[Outcome[T]]) -> Iterator[tuple[Outcome[T], int]]:
        return zip(said, self._silences, strict=True)

    def _newest(
        self,
        ask: Callable[[Gateway], Outcome[T]],
        ledger_of: Callable[[T], int],
        alike: Callable[[T, T], bool] = lambda one, other: True,
    ) -> Outcome[T]:
        fresh = self._fresh(ask, ledger_of)
        if not isinstance(fresh, list):
            return fresh
        newest = max(fresh, key=ledger_of)
        for view in fresh:
            if (ledger_of(view) == ledger_of(newest) and view != newest) or not alike(view, newest):
                return Uncertain(f"the nodes show ledger {ledger_of(newest)} differently")
        return Ok(newest)

    def _fresh(
        self, ask: Callable[[Gateway], Outcome[T]], ledger_of: Callable[[T], int]
    ) -> list[T] | Retryable | Uncertain | Fatal:
        said = self._all(ask)
        values = [a.value for a in said if isinstance(a, Ok)]
        if values:
            return self._keeping_up(values, ledger_of)
        first = _first_ok(said)
        assert not isinstance(first, Ok)
        return first

    def _keeping_up(self, values: Sequence[T], ledger_of: Callable[[T], int]) -> list[T] | Uncertain:
        """Those of nodes near the newest one. Of several nodes one alone is not believed: whether it runs ahead or the
        others lag cannot be told from here."""
        newest = max(ledger_of(value) for value in values)
        fresh = [value for value in values if ledger_of(value) >= newest - self._spread]
        return fresh if len(fresh) >= min(2, len(values)) else Uncertain("one node alone is far ahead of the others")

    def _try(self, ask: Callable[[Gateway], Outcome[T]]) -> Outcome[T]:
        """The first answer that settles it, fewest silences first."""
        said: list[Outcome[T]] = []
        for number in self._by_silence():
            said.append(self._ask(number, ask))
            if isinstance(said[-1], Ok | Fatal):
                break
        return said[-1]

    def _by_silence(self) -> Iterator[int]:
        yield from sorted(range(len(self._gateways)), key=lambda number: self._silences[number])


def _first_ok(said: Sequence[Outcome[T]]) -> Outcome[T]:
    return next((a for a in said if isinstance(a, Ok)), said[0])


def _oldest(clocks: Sequence[ChainClock]) -> ChainClock:
    return ChainClock(
        min(c.ledger for c in clocks), min(c.close_time_s for c in clocks), max(c.oldest_ledger for c in clocks)
    )


def _denies(look: TransactionView, end: TransactionView) -> bool:
    """Whether a look that found nothing is of a node that would have to know `end`."""
    knows = end.ledger is not None and look.clock.oldest_ledger <= end.ledger <= look.clock.ledger
    return look.status is TxStatus.NOT_FOUND and knows


def _same_vault(one: VaultView, other: VaultView) -> bool:
    """Whether two views some ledgers apart can be of one vault: nothing may differ but what interest adds."""
    here, there = ({f.asset: f.total for f in view.funds} for view in (one, other))
    return (
        (one.code_hash, one.rebalance_manager, here.keys()) == (other.code_hash, other.rebalance_manager, there.keys())
        and all(abs(here[a] - there[a]) * INTEREST <= max(here[a], there[a]) for a in here)
    )  # fmt: skip
