"""One listener: what it asked for, and what waits to be sent to it, within bounds."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from models.events.feed import Event, EventType


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a reader listens to. `series` empty: all."""

    types: frozenset[EventType]
    series: frozenset[str] = frozenset()

    def has(self, event: Event) -> bool:
        return event.type in self.types and (not self.series or event.series in self.series)


class Reader:
    """Blocks in order. `most`: blocks that may wait; a reader that lets more wait is let go and may come back."""

    def __init__(self, wanted: Wanted, most: int) -> None:
        self.wanted = wanted
        self.is_open = True
        self._waiting: deque[bytes] = deque()
        self._most = most
        self._something = asyncio.Event()

    def put(self, block: bytes) -> None:
        if self.is_open and len(self._waiting) >= self._most:
            self._waiting.clear()
            self.close()
        elif self.is_open:
            self._waiting.append(block)
            self._something.set()

    def close(self) -> None:
        """No more comes; what waits may still be taken."""
        self.is_open = False
        self._something.set()

    async def next(self, patience_s: float) -> bytes | None:
        """The next block; None if nothing came in time, or nothing will (then `is_open` is False)."""
        if not self._waiting and self.is_open:
            self._something.clear()
            try:
                await asyncio.wait_for(self._something.wait(), patience_s)
            except TimeoutError:
                return None
        return self._waiting.popleft() if self._waiting else None
