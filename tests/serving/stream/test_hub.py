"""The hub without a server: one reading for all, bounds in memory, what becomes of a reader that is slow."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy.exc import OperationalError

from models.events.feed import TYPES, Event, Feed
from models.events.position import Position
from serving.stream.hub import Hub
from serving.stream.reader import Reader, Wanted
from serving.stream.response import EventStream

ALL = Wanted(frozenset(TYPES))
QUICK_S = 0.001


class Numbers(Feed):
    """Scores 1, 2, 3 ... of one subject; `upto`: the newest. `is_away`: the database does not answer."""

    def __init__(self, upto: int = 0) -> None:
        self.upto, self.readings, self.is_away = upto, 0, False

    def back(self, count: int) -> Position:
        return Position(max(0, self.upto - count), 0, 0)

    def after(self, position: Position, limit: int) -> list[Event]:
        if self.is_away:
            raise OperationalError("select", {}, Exception("away"))
        self.readings += 1
        numbers = range(position.score, self.upto)[:limit]
        return [Event("score", Position(n + 1, 0, 0), "BTC", datetime(2026, 1, 1, tzinfo=UTC),
                      {"horizon_days": 1}, {}) for n in numbers]  # fmt: skip


async def taken(reader: Reader, count: int) -> list[str]:
    """Ids of the next blocks; "" for one without."""
    found = []
    for _ in range(count):
        block = await reader.next(5)
        assert block is not None
        lines = block.decode().splitlines()
        found.append(next((line.removeprefix("id: ") for line in lines if line.startswith("id: ")), ""))
    return found


def run(story: Callable[[Hub, Numbers], Awaitable[None]], window: int = 30, upto: int = 0) -> None:
    async def told() -> None:
        numbers = Numbers(upto)
        hub = Hub(numbers, poll_s=QUICK_S, window=window)
        await story(hub, numbers)
        await hub.close()

    asyncio.run(told())


def test_one_reading_feeds_every_reader_and_nobody_means_none() -> None:
    async def story(hub: Hub, numbers: Numbers) -> None:
        readers = [await hub.subscribe(ALL, None) for _ in range(50)]
        assert numbers.readings == 1
        numbers.upto = 1
        for reader in readers:
            assert await taken(reader, 2) == ["0-0-0", "1-0-0"]
            hub.leave(reader)
        await asyncio.sleep(20 * QUICK_S)
        readings = numbers.readings
        await asyncio.sleep(20 * QUICK_S)
        assert numbers.readings == readings, "nobody listens, nothing is read"

    run(story)


def test_a_reader_that_does_not_take_is_let_go_and_may_come_back() -> None:
    async def story(hub: Hub, numbers: Numbers) -> None:
        slow, quick = await hub.subscribe(ALL, None), await hub.subscribe(ALL, None)
        await taken(quick, 1)
        for n in range(1, 71):  # the queue holds 60
            numbers.upto = n
            await taken(quick, 1)
        assert (slow.is_open, quick.is_open) == (False, True)
        assert await slow.next(5) is None, "what waited is forgotten, not kept"
        again = await hub.subscribe(ALL, "42-0-0")
        assert await taken(again, 3) == ["", "43-0-0", "44-0-0"]

    run(story)


@pytest.mark.parametrize(
    ("last", "expected"), [("10-0-0", ["11-0-0", "12-0-0"]), ("9-0-0", ["40-0-0"]), ("41-0-0", ["40-0-0"])]
)
def test_the_window_is_bounded_and_what_is_older_is_reset(last: str, expected: list[str]) -> None:
    async def story(hub: Hub, numbers: Numbers) -> None:
        await hub.subscribe(ALL, None)
        numbers.upto = 40
        while hub.position.score < 40:
            await asyncio.sleep(QUICK_S)
        again = await hub.subscribe(ALL, last)
        assert await taken(again, 1 + len(expected)) == ["", *expected]

    run(story)


def test_the_window_begins_with_what_was_there_before_the_process() -> None:
    async def story(hub: Hub, numbers: Numbers) -> None:
        reader = await hub.subscribe(ALL, "95-0-0")
        assert await taken(reader, 3) == ["", "96-0-0", "97-0-0"]

    run(story, upto=100)


def test_after_a_long_silence_only_the_newest_is_read() -> None:
    async def story(hub: Hub, numbers: Numbers) -> None:
        hub.leave(await hub.subscribe(ALL, None))
        await asyncio.sleep(20 * QUICK_S)
        numbers.upto = 1_000_000
        reader = await hub.subscribe(ALL, None)
        assert await taken(reader, 1) == ["1000000-0-0"]
        assert numbers.readings < 10

    run(story)


def test_a_database_that_is_away_costs_no_reader() -> None:
    async def story(hub: Hub, numbers: Numbers) -> None:
        reader = await hub.subscribe(ALL, None)
        numbers.is_away = True
        await asyncio.sleep(10 * QUICK_S)
        late = await hub.subscribe(ALL, None)
        numbers.upto, numbers.is_away = 1, False
        assert (await taken(reader, 2), await taken(late, 2)) == (["0-0-0", "1-0-0"], ["0-0-0", "1-0-0"])

    run(story)


def test_a_connection_that_takes_no_bytes_is_given_up() -> None:
    async def story(hub: Hub, numbers: Numbers) -> None:
        reader = await hub.subscribe(ALL, None)
        sent = []

        async def send(message: object) -> None:
            sent.append(message)
            if len(sent) > 1:
                await asyncio.sleep(3600)

        async def receive() -> dict[str, str]:
            await asyncio.sleep(3600)
            return {"type": "http.disconnect"}

        await EventStream(hub, reader, heartbeat_s=1, send_s=QUICK_S)({"type": "http"}, receive, send)
        assert (len(sent), hub.readers) == (2, 0)

    run(story)
