"""How often who may ask: token buckets, one for each caller, within bounded memory.

A bucket holds as many requests as fit into a minute and fills evenly. Buckets are of one process: several processes of
the API allow as many times more.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

WINDOW_S = 60
_MOST = 10_000  # callers that are remembered: some MB
UNBOUNDED = 0


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left to a caller after a request. `reset_s`: until the bucket is full, or, of one that is refused, until
    there is room for one request."""

    granted: bool
    per_minute: int
    remaining: int
    reset_s: int


class Buckets:
    """The one that was used longest ago makes room for a new caller: it is the likeliest to be full again, and then
    nothing is lost by forgetting it."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()  # requests left, at which time

    def __len__(self) -> int:
        return len(self._levels)

    def take(self, caller: str, per_minute: int, now_s: float) -> Allowance | None:
        """One request of a caller at a time (any clock in seconds that does not go back). None: without a bound."""
        if per_minute == UNBOUNDED:
            return None
        rate = per_minute / WINDOW_S
        level, at_s = self._levels.pop(caller, (float(per_minute), now_s))
        level = min(float(per_minute), level + (now_s - at_s) * rate)
        granted = level >= 1
        if granted:
            level -= 1
        self._levels[caller] = (level, now_s)
        if len(self._levels) > self._most:
            self._levels.popitem(last=False)
        missing = per_minute - level if granted else 1 - level
        return Allowance(granted, per_minute, int(level), math.ceil(missing / rate))
