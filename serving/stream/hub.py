"""New events for all who listen: one reading of the database feeds every reader of this process.

Nothing is read while nobody listens. The newest events stay in memory, and a reader that comes back goes on from there.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence

from sqlalchemy.exc import SQLAlchemyError

from models.events.feed import Event, Feed
from models.events.position import Position, read_position
from serving.stream.blocks import block, opening, reset
from serving.stream.reader import Reader, Wanted

MOST_READERS = 100
POLL_S = 1.0
LONGEST_PAUSE_S = 10.0  # between two readings while the database is away
WINDOW = 2_000  # events that a reader can come back to: a day of a market of thirty subjects
AT_ONCE = 500  # rows of a table in one reading; what is left is read at once after it

_log = logging.getLogger(__name__)


class TooManyReaders(RuntimeError):
    """As many listen as may, or the process is ending."""


class Hub:
    """All methods are called in the event loop; the database is read in a thread."""

    def __init__(
        self,
        feed: Feed,
        most_readers: int = MOST_READERS,
        poll_s: float = POLL_S,
        window: int = WINDOW,
        on_news: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_news`: called before readers are told: what they ask for then must hold the news."""
        self._feed, self._most_readers, self._poll_s = feed, most_readers, poll_s
        self._on_news = on_news
        self._window: deque[tuple[Event, bytes]] = deque(maxlen=window)
        self._window_size = window
        self._begin: Position | None = None  # everything after it is in the window
        self._position: Position | None = None
        self._readers: set[Reader] = set()
        self._joining = 0
        self._reading = asyncio.Lock()
        self._poller: asyncio.Task[None] | None = None
        self._is_closed = False

    @property
    def position(self) -> Position:
        """Where a reader stands who has taken everything. There is none before the first reader."""
        assert self._position is not None
        return self._position

    @property
    def readers(self) -> int:
        return len(self._readers) + self._joining

    async def subscribe(self, wanted: Wanted, last: str | None) -> Reader:
        """A reader that goes on after the event id `last`, or begins now.

        Raises TooManyReaders, and the database's error if it is away and was never read.
        """
        if self._is_closed or self.readers >= self._most_readers:
            raise TooManyReaders
        self._joining += 1
        try:
            if self._poller is None:
                async with self._reading:
                    await self._catch_up()
            reader = Reader(wanted, 2 * self._window_size)  # a whole window may wait, and as much again
            self._readers.add(reader)
            self._place(reader, last)
        finally:
            self._joining -= 1
        if self._poller is None and not self._is_closed:
            self._poller = asyncio.create_task(self._poll())
        return reader

    def leave(self, reader: Reader) -> None:
        self._readers.discard(reader)

    def let_go(self) -> None:
        """End every stream after what waits; nobody may come any more."""
        self._is_closed = True
        for reader in self._readers:
            reader.close()

    async def close(self) -> None:
        """Let every reader go and read no more."""
        self.let_go()
        if self._poller is not None:
            self._poller.cancel()
            await asyncio.gather(self._poller, return_exceptions=True)

    def _place(self, reader: Reader, last: str | None) -> None:
        reader.put(opening(self.position if last is None else None))
        if last is None:
            return
        stands = read_position(last)
        assert self._begin is not None
        if stands is None or not stands.covers(self._begin) or not self.position.covers(stands):
            reader.put(reset(self.position))
            return
        for event, told in self._window:
            if event.number > getattr(stands, event.type) and reader.wanted.has(event):
                reader.put(told)

    async def _poll(self) -> None:
        pause_s = self._poll_s
        while self._readers or self._joining:
            await asyncio.sleep(pause_s)
            try:
                async with self._reading:
                    await self._read()
                pause_s = self._poll_s
            except SQLAlchemyError as error:
                if pause_s == self._poll_s:
                    _log.warning("streams wait for the database: %s", type(error).__name__)
                pause_s = min(pause_s * 2, max(LONGEST_PAUSE_S, self._poll_s))
        self._poller = None

    async def _catch_up(self) -> None:
        """The first reading, or the first after nobody listened: what is older than the window is left out."""
        try:
            # All three tables fit into the window.
            begin = await asyncio.to_thread(self._feed.back, self._window_size // 3)
            if self._position is None or not self._position.covers(begin):
                self._window.clear()
                self._begin = self._position = begin
            await self._read()
        except SQLAlchemyError:
            if self._position is None:
                raise  # nothing is known; later a reader goes on from what is known

    async def _read(self) -> None:
        events = await asyncio.to_thread(self._feed.after, self.position, AT_ONCE)
        while events:
            self._publish(events)
            # Fewer than fill one table: all three were read to their ends.
            more = len(events) >= AT_ONCE
            events = await asyncio.to_thread(self._feed.after, self.position, AT_ONCE) if more else []

    def _publish(self, events: Sequence[Event]) -> None:
        self._on_news()
        for event in events:
            if len(self._window) == self._window_size:
                self._begin = self._window[0][0].position
            told = block(event)
            self._window.append((event, told))
            for reader in self._readers:
                if reader.wanted.has(event):
                    reader.put(told)
        self._position = events[-1].position
