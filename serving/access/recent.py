"""What was found a moment ago: a small cache whose entries live for seconds and whose size is bounded."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

_Found = TypeVar("_Found")


class Recent(Generic[_Found]):
    """Not for several threads: the event loop owns it."""

    def __init__(self, lives_s: float, most: int) -> None:
        self._lives_s, self._most = lives_s, most
        self._entries: OrderedDict[bytes, tuple[float, _Found]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, name: bytes, now_s: float) -> _Found | None:
        entry = self._entries.get(name)
        return entry[1] if entry is not None and now_s - entry[0] < self._lives_s else None

    def __contains__(self, name: bytes) -> bool:
        """Whether it was found before, also if that is too long ago to be believed."""
        return name in self._entries

    def drop(self, name: bytes) -> None:
        self._entries.pop(name, None)

    def put(self, name: bytes, found: _Found, now_s: float) -> None:
        self._entries.pop(name, None)
        self._entries[name] = (now_s, found)
        if len(self._entries) > self._most:
            self._entries.popitem(last=False)
