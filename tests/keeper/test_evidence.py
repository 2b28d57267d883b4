"""What two looks at a chain prove, as a table.

The attempt is bounded by time 1000 and ledger 50, has sequence 7 and was simulated at ledger 10.
"""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from keeper.evidence import Finding, conclude, outlived
from keeper.gateway import AccountView, ChainClock, TransactionView, TxStatus
from keeper.intent import TERMINAL, TRANSITIONS, UNDECIDED, Attempt, IllegalTransition, IntentState, check_transition

ATTEMPT = Attempt(
    UUID(int=1), 1, 7, "", "aa" * 32, "signed", max_time=1000, max_ledger=50, fee_bid=1, inclusion_fee=1,
    resource_fee=1, sim_ledger=10, first_sent_ledger=11, last_sent_ledger=11, state="submitted", result_code=None,
)  # fmt: skip


def look(close: int, ledger: int = 30, oldest: int = 1, status: TxStatus = TxStatus.NOT_FOUND) -> TransactionView:
    return TransactionView(ATTEMPT.tx_hash, status, ChainClock(ledger, close, oldest))


def account(sequence: int = 6, ledger: int = 30) -> AccountView:
    return AccountView("G", sequence, 1, ledger)


@pytest.mark.parametrize(
    ("first", "second", "seen", "finding"),
    [
        (look(1000), look(1000), account(), Finding.EXPIRED),
        (look(999), look(1005), account(), Finding.ALIVE),  # the second look must not be the first late one
        (look(1000), look(999, 29), account(), Finding.ALIVE),  # a lagging node
        (look(1000, 30), look(1000, 29), account(), Finding.ALIVE),
        (look(1000), look(1000), account(ledger=29), Finding.ALIVE),  # account read from a lagging node
        (look(1000), look(1000, status=TxStatus.SUCCESS), account(7), Finding.SUCCESS),
        (look(1000), look(1000, status=TxStatus.FAILED), account(7), Finding.FAILED),
        (look(1000), look(1000), account(7), Finding.SEQUENCE_USED),
        (look(1000), look(1000), account(8), Finding.SEQUENCE_USED),
        (look(1000, oldest=10), look(1000, oldest=10), account(), Finding.EXPIRED),
        (look(1000, oldest=10), look(1000, oldest=11), account(), Finding.OUT_OF_MEMORY),
        (look(900, 49), look(900, 49), account(ledger=49), Finding.EXPIRED),  # by ledger bounds
        (look(900, 48), look(900, 48), account(ledger=48), Finding.ALIVE),
        (look(1000), look(1000, status=TxStatus.CONTRADICTORY), account(), Finding.CONTRADICTION),
    ],
)
def test_conclusions(first: TransactionView, second: TransactionView, seen: AccountView, finding: Finding) -> None:
    assert conclude(ATTEMPT, first, second, seen) is finding


def test_outlived_on_both_sides_of_each_bound() -> None:
    assert [outlived(ATTEMPT, ChainClock(1, close, 1)) for close in (999, 1000)] == [False, True]
    assert [outlived(ATTEMPT, ChainClock(ledger, 1, 1)) for ledger in (48, 49)] == [False, True]
    assert not outlived(replace(ATTEMPT, max_time=10**10), ChainClock(1, 1000, 1))


@pytest.mark.parametrize(
    ("current", "following", "legal"),
    [
        ("planned", "simulated", True),
        ("planned", "signing", False),
        ("simulated", "signed", False),
        ("signing", "submitted", False),
        ("signed", "cancelled", False),  # a signature exists: only the chain can end it
        ("submitted", "abandoned", False),
        ("expired", "planned", True),
        ("unknown", "planned", False),
        ("confirmed", "failed", False),
        ("needs_human", "confirmed", True),
    ],
)
def test_transitions(current: str, following: str, legal: bool) -> None:
    if legal:
        check_transition(IntentState(current), IntentState(following))
        return
    with pytest.raises(IllegalTransition, match=f"from {current} to {following}"):
        check_transition(IntentState(current), IntentState(following))


def test_every_state_has_a_way_to_an_end() -> None:
    reach = set(TERMINAL)
    while True:
        more = {s for s, following in TRANSITIONS.items() if following & reach} | reach
        if more == reach:
            break
        reach = more
    assert reach == set(IntentState)
    assert not UNDECIDED & TERMINAL
