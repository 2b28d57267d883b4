"""Where a reader of events stands: how far it has read each of the three tables that events come from."""

from __future__ import annotations

import re
from typing import NamedTuple

_FORM = re.compile(r"([0-9]{1,18})-([0-9]{1,18})-([0-9]{1,18})")


class Position(NamedTuple):
    """Sequence numbers of the newest score, decision and alert event that was read. Each only ever grows, so that
    later events have later positions, in every process and after every restart."""

    score: int
    decision: int
    alert: int

    def __str__(self) -> str:
        return f"{self.score}-{self.decision}-{self.alert}"

    def with_number(self, table: str, number: int) -> Position:
        """The position of a reader who has also read so far in one table (a field of this tuple)."""
        return Position(**(self._asdict() | {table: number}))

    def covers(self, other: Position) -> bool:
        """Whether everything that `other` has read was read here too."""
        return all(mine >= its for mine, its in zip(self, other, strict=True))


START = Position(0, 0, 0)


def read_position(text: str) -> Position | None:
    """The position that a text names, None if it names none."""
    found = _FORM.fullmatch(text)
    return Position(*(int(part) for part in found.groups())) if found and text.isascii() else None
