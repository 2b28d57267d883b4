"""Streams end when the server is told to stop. The server itself waits for open answers first, and these never end."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_STOP = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def before_stopping(act: Callable[[], None]) -> Iterator[None]:
    """Within the block a signal to stop also calls `act` in the running event loop, then does what it did before.
    Outside of the main thread (tests) nothing is changed: there the owner of the loop ends it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in _STOP}

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(act)
        earlier = before[signal.Signals(number)]
        if callable(earlier):
            earlier(number, frame)

    for number in _STOP:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
