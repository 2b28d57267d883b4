"""The market's clock. Simulated and replayed markets run under their own time; live markets run on the wall clock.

Pure: the wall time is passed in. The state is one row of `ops.market`, so that every process agrees.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class MarketClock:
    """`anchor` None: the wall clock. `wall_anchor` None: the clock stands still at `anchor`.

    Otherwise market time has run from `anchor` since `wall_anchor` at `speed` market seconds per wall second.
    """

    anchor: datetime | None
    wall_anchor: datetime | None
    speed: float = 1.0

    def now(self, wall: datetime) -> datetime:
        """Market time at aware wall time `wall`. Never runs backwards past the anchor."""
        if self.anchor is None:
            return wall
        if self.wall_anchor is None:
            return self.anchor
        return self.anchor + max(wall - self.wall_anchor, wall - wall) * self.speed
