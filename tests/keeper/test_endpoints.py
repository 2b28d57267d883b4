"""Several nodes as one: who is believed, as a table of answers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any

import pytest

from keeper.endpoints import Endpoints
from keeper.gateway import (
    AccountView,
    AssetFunds,
    ChainClock,
    Fatal,
    Gateway,
    Ok,
    Retryable,
    SendReply,
    SendStatus,
    TransactionView,
    TxStatus,
    Uncertain,
    VaultView,
)


def node(answer: Any) -> Gateway:
    """Answers every question with `answer`."""
    methods = dict.fromkeys(Gateway.__abstractmethods__, lambda *_: answer)
    made: Gateway = type("Node", (Gateway,), methods)()
    return made


def nodes(*answers: Any) -> Endpoints:
    return Endpoints([node(a) for a in answers])


def look(status: TxStatus, ledger: int = 50, close: int = 500, oldest: int = 1, code: str | None = None) -> Any:
    return Ok(TransactionView("h", status, ChainClock(ledger, close, oldest), 40 if code else None, code))


FOUND, FAILED = look(TxStatus.SUCCESS, code="txSUCCESS"), look(TxStatus.FAILED, code="txFAILED")
MISSING, ODD, SILENT = look(TxStatus.NOT_FOUND), look(TxStatus.CONTRADICTORY), Uncertain("time-out")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ((FOUND, MISSING), FOUND),
        ((FOUND, SILENT), FOUND),
        ((FOUND, ODD), FOUND),
        ((FOUND, FAILED), Uncertain("the nodes report different ends of one transaction")),
        ((MISSING, ODD), ODD),
        ((MISSING, SILENT), Retryable("a node that may know better does not answer")),
        ((SILENT, SILENT), SILENT),
        # An absence has the oldest clock and the shortest memory of those that keep up.
        ((MISSING, look(TxStatus.NOT_FOUND, 48, 490, 7)), look(TxStatus.NOT_FOUND, 48, 490, 7)),
        # 11 ledgers apart, and nobody knows which of two is right; of three the one that lags is left out.
        ((MISSING, look(TxStatus.NOT_FOUND, 39, 400, 9)), Uncertain("one node alone is far ahead of the others")),
        ((MISSING, MISSING, look(TxStatus.NOT_FOUND, 39, 400, 9)), MISSING),
        # A node that would have to know it denies a failure, and one that cannot know it does not.
        ((FAILED, MISSING), Uncertain("a node that knows the ledger denies the failure that another one reports")),
        ((FAILED, look(TxStatus.NOT_FOUND, 50, 500, 41)), FAILED),
        ((FAILED, look(TxStatus.NOT_FOUND, 39, 390, 1)), FAILED),
        ((MISSING, Fatal("method not found")), MISSING),
    ],
)
def test_looks_at_a_transaction(said: tuple[Any, ...], expected: Any) -> None:
    assert nodes(*said).transaction("h") == expected
    assert nodes(*reversed(said)).transaction("h") == expected


def test_a_node_that_stays_silent_no_longer_blocks_an_absence() -> None:
    both = nodes(MISSING, SILENT)
    assert [type(both.transaction("h")) for _ in range(3)] == [Retryable, Retryable, Ok]


def counted(answers: Iterator[Any], asked: list[str]) -> Gateway:
    """Gives the next of `answers`, and writes down what it was asked."""

    def method(name: str) -> Any:
        def answer(*_: Any) -> Any:
            asked.append(name)
            return next(answers)

        return answer

    made: Gateway = type("Counted", (Gateway,), {name: method(name) for name in Gateway.__abstractmethods__})()
    return made


def test_a_node_that_stays_silent_is_left_out_of_readings_for_a_while() -> None:
    asked: list[str] = []
    both = Endpoints([node(Ok(7)), counted(repeat(SILENT), asked)], patience=3, rest=4)
    assert [both.health() for _ in range(14)] == [Ok(7)] * 14
    assert asked == ["health"] * (3 + 2)  # three silences, then once in five readings


def test_a_silent_node_is_always_asked_what_became_of_a_transaction() -> None:
    asked: list[str] = []
    both = Endpoints([node(MISSING), counted(repeat(SILENT), asked)], patience=1, rest=100)
    for _ in range(3):
        both.transaction("h")
    assert asked == ["transaction"] * 3


def test_one_that_speaks_again_is_asked_as_before() -> None:
    asked: list[str] = []
    answers = chain([SILENT] * 3, repeat(Ok(8)))
    both = Endpoints([node(Ok(7)), counted(answers, asked)], patience=3, rest=2)
    assert [both.health() for _ in range(8)] == [Ok(7)] * 5 + [Ok(8)] * 3
    assert len(asked) == 3 + 3


def test_where_all_are_silent_all_are_asked() -> None:
    asked: list[str] = []
    both = Endpoints([counted(repeat(SILENT), asked), counted(repeat(SILENT), asked)], patience=1)
    assert [both.health() for _ in range(3)] == [SILENT] * 3
    assert len(asked) == 6


def reply(status: SendStatus) -> Any:
    return Ok(SendReply(status, 1))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ((reply(SendStatus.ERROR), reply(SendStatus.PENDING)), reply(SendStatus.PENDING)),
        ((reply(SendStatus.TRY_AGAIN_LATER), reply(SendStatus.DUPLICATE)), reply(SendStatus.DUPLICATE)),
        ((SILENT, reply(SendStatus.PENDING)), reply(SendStatus.PENDING)),
        ((SILENT, reply(SendStatus.ERROR)), SILENT),
        ((Retryable("503"), reply(SendStatus.ERROR)), reply(SendStatus.ERROR)),
    ],
)
def test_answers_to_a_send(said: tuple[Any, ...], expected: Any) -> None:
    assert nodes(*said).send("") == expected
    assert nodes(*reversed(said)).send("") == expected


def test_readings_come_from_the_newest_ledger_and_must_not_contradict() -> None:
    old, new = Ok(AccountView("G", 5, 1, 10)), Ok(AccountView("G", 6, 1, 11))
    assert nodes(old, new).account("G") == new
    assert isinstance(nodes(new, Ok(AccountView("G", 7, 1, 11))).account("G"), Uncertain)
    assert nodes(SILENT, old).account("G") == old


def test_nodes_of_two_networks_are_refused() -> None:
    assert isinstance(nodes(Ok("one"), Ok("other")).passphrase(), Fatal)
    assert nodes(Ok("one"), SILENT).passphrase() == Ok("one")
    assert nodes(Ok(27), Ok(28)).protocol() == Ok(28)
    assert nodes(Retryable("node is not healthy"), Ok(9)).health() == Ok(9)
    assert nodes(Retryable("503"), Ok(100)).inclusion_fee() == Ok(100)
    with pytest.raises(ValueError, match="at least one"):
        Endpoints([])


CLOCK = ChainClock(100, 1_000, 1)


@pytest.mark.parametrize(
    ("clocks", "expected"),
    [
        ((CLOCK, ChainClock(101, 10**10, 7)), Ok(ChainClock(100, 1_000, 7))),  # the end of life is nobody's invention
        ((CLOCK, ChainClock(10**9, 10**10, 1)), Uncertain("one node alone is far ahead of the others")),
        ((CLOCK, CLOCK, ChainClock(10**9, 10**10, 1)), Uncertain("one node alone is far ahead of the others")),
        ((CLOCK,), Ok(CLOCK)),
    ],
)
def test_the_clock_is_that_of_the_slowest_that_keeps_up(clocks: tuple[ChainClock, ...], expected: Any) -> None:
    assert nodes(*map(Ok, clocks)).clock() == expected
    assert nodes(*map(Ok, reversed(clocks))).clock() == expected


def a_view(ledger: int = 100, total: int = 10**9, code: str = "good", manager: str = "G", asset: str = "USDC") -> Any:
    return Ok(VaultView("C", ledger, (AssetFunds(asset, total, total),), 1, manager, code))


@pytest.mark.parametrize(
    ("change", "agrees"),
    [
        ({}, True),
        ({"total": 10**9 + 10**6}, True),  # interest of some ledgers
        ({"total": 10**9 + 2 * 10**6}, False),
        ({"total": 5 * 10**9}, False),
        ({"code": "EVIL"}, False),
        ({"manager": "Gother"}, False),
        ({"asset": "BTC"}, False),
    ],
)
def test_one_node_does_not_decide_what_the_vault_holds(change: dict[str, Any], agrees: bool) -> None:
    newer = a_view(101, **change)
    for both in (nodes(a_view(), newer), nodes(newer, a_view())):
        answer = both.vault("C")
        assert answer == newer if agrees else isinstance(answer, Uncertain)
