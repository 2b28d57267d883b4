"""Progress of a long command: which stage runs, what it moved, how long it took.

Callers know only `Progress`. On a terminal the running stage has a live line; anywhere else every event is one
plain line, so that logs of a pipe or a CI job stay readable. Nothing here knows what a stage does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.status import Status


class Progress(Protocol):
    """A stage is named once by `started` and once by `finished` or `failed`; stages may nest."""

    def started(self, stage: str) -> None: ...

    def finished(self, stage: str, rows: int | None = None, detail: str = "") -> None: ...

    def failed(self, stage: str, reason: str) -> None: ...

    def note(self, text: str) -> None: ...


def describe(rows: int | None, seconds: float, detail: str) -> str:
    """`1,204 rows, 3.2 s, detail`, with what is unknown left out."""
    parts = [] if rows is None else [f"{rows:,} row{'' if rows == 1 else 's'}"]
    parts.append(f"{seconds:.1f} s")
    return ", ".join([*parts, detail] if detail else parts)


class ConsoleProgress:
    """Writes to a rich console. `clock` counts seconds and is passed in for tests."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._since: dict[str, float] = {}
        self._live: Status | None = None

    def started(self, stage: str) -> None:
        self._since[stage] = self._clock()
        if not self._console.is_terminal:
            return
        if self._live is None:
            self._live = self._console.status("")
            self._live.start()
        self._live.update(f"{escape(stage)} ...")

    def finished(self, stage: str, rows: int | None = None, detail: str = "") -> None:
        seconds = self._end(stage)
        self._console.print(
            f"[green]ok[/]    {escape(stage):<34} {escape(describe(rows, seconds, detail))}", highlight=False
        )

    def failed(self, stage: str, reason: str) -> None:
        seconds = self._end(stage)
        self._console.print(
            f"[red]fail[/]  {escape(stage):<34} {seconds:.1f} s: {escape(reason)}", highlight=False, soft_wrap=True
        )

    def note(self, text: str) -> None:
        self._console.print(f"      {escape(text)}", highlight=False, soft_wrap=True)

    def _end(self, stage: str) -> float:
        seconds = self._clock() - self._since.pop(stage, self._clock())
        if self._live is not None:
            if self._since:
                self._live.update(f"{escape(next(reversed(self._since)))} ...")
            else:
                self._live.stop()
                self._live = None
        return seconds
