"""Answers that were made a moment ago, as bytes: most who ask for the newest scores ask for the same within a second.

An answer says at which moment of the market it was made, so that one of the last second is as true as a new one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable

from starlette.concurrency import run_in_threadpool

KEPT_S = 1.0
_MOST = 64  # different questions; who asks more of them gets each made anew


class RecentAnswers:
    """Used in the event loop alone. What cannot be answered raises, and is asked again by the next."""

    def __init__(self, kept_s: float = KEPT_S, now_s: Callable[[], float] = time.monotonic) -> None:
        """`kept_s`: how long an answer is given again, in seconds of the wall clock; 0 = each is made anew."""
        self._kept_s, self._now_s = kept_s, now_s
        self._made: dict[Hashable, tuple[float, bytes]] = {}
        self._turns: dict[Hashable, asyncio.Lock] = {}
        self._generation = 0

    def find(self, question: Hashable) -> bytes | None:
        """The answer of the last moment, None if there is none."""
        made = self._made.get(question)
        return made[1] if made is not None and self._now_s() - made[0] < self._kept_s else None

    async def get(self, question: Hashable, make: Callable[[], bytes]) -> bytes:
        """The answer of the last moment, or a new one, made in a thread; who asks meanwhile waits for that one."""
        found = self.find(question)
        if found is not None:
            return found
        turn = self._turns.setdefault(question, asyncio.Lock())
        try:
            async with turn:
                found = self.find(question)
                if found is None:
                    # The moment before it was read, and not kept if news came meanwhile.
                    began, generation = self._now_s(), self._generation
                    found = await run_in_threadpool(make)
                    if generation == self._generation:
                        self._keep(question, began, found)
                return found
        finally:
            if not turn.locked():
                self._turns.pop(question, None)

    def forget(self) -> None:
        """There is news: nothing that was made before is given again."""
        self._generation += 1
        self._made.clear()

    def _keep(self, question: Hashable, began: float, answer: bytes) -> None:
        if len(self._made) >= _MOST:
            self._made = {q: made for q, made in self._made.items() if began - made[0] < self._kept_s}
        if len(self._made) < _MOST:
            self._made[question] = (began, answer)
