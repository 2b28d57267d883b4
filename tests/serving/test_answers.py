"""Answers of the last moment: given again, made once for all who wait, forgotten with news."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from serving.answers import RecentAnswers


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Maker:
    """Makes another answer each time, and something may happen meanwhile."""

    def __init__(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.made, self._meanwhile = 0, meanwhile

    def __call__(self) -> bytes:
        self.made += 1
        self._meanwhile()
        return str(self.made).encode()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def ask(recent: RecentAnswers, make: Maker, question: object = "all") -> bytes:
    return asyncio.run(recent.get(question, make))


def test_an_answer_is_given_again_until_its_time_is_over(clock: Clock) -> None:
    recent, make = RecentAnswers(1.0, clock), Maker()
    told = []
    for clock.seconds in (0.0, 0.5, 0.99, 1.0, 1.5, 2.0):
        told.append(ask(recent, make))
    assert told == [b"1", b"1", b"1", b"2", b"2", b"3"]


def test_the_time_counts_from_before_it_was_read(clock: Clock) -> None:
    def slow() -> None:
        clock.seconds += 0.9

    recent, make = RecentAnswers(1.0, clock), Maker(slow)
    assert ask(recent, make) == b"1"
    clock.seconds += 0.2
    assert ask(recent, make) == b"2"


def test_questions_are_told_apart(clock: Clock) -> None:
    recent, make = RecentAnswers(1.0, clock), Maker()
    assert [ask(recent, make, q) for q in (("BTC", 1), ("BTC", 7), ("BTC", 1))] == [b"1", b"2", b"1"]


def test_news_makes_everything_new_also_what_was_read_while_it_came(clock: Clock) -> None:
    recent = RecentAnswers(1.0, clock)
    make = Maker(recent.forget)
    assert [ask(recent, make), ask(recent, make)] == [b"1", b"2"]


def test_of_many_at_once_one_asks(clock: Clock) -> None:
    recent, make = RecentAnswers(1.0, clock), Maker()

    async def many() -> list[bytes]:
        return await asyncio.gather(*(recent.get("all", make) for _ in range(20)))

    assert asyncio.run(many()) == [b"1"] * 20


def test_a_failure_is_told_to_who_asked_and_not_kept(clock: Clock) -> None:
    recent, attempts = RecentAnswers(1.0, clock), []

    def fail_once() -> bytes:
        attempts.append(1)
        if len(attempts) == 1:
            raise ValueError("away")
        return b"there"

    async def both() -> list[object]:
        return await asyncio.gather(*(recent.get("all", fail_once) for _ in range(2)), return_exceptions=True)

    first, second = asyncio.run(both())
    assert isinstance(first, ValueError)
    assert second == b"there"


def test_memory_is_bounded_and_new_questions_are_answered_all_the_same(clock: Clock) -> None:
    recent, make = RecentAnswers(1.0, clock), Maker()
    answers = [ask(recent, make, number) for number in range(1_000)]
    assert len(set(answers)) == 1_000
    assert len(recent._made) <= 64
    assert recent._turns == {}
