"""The market's clock around the stack: `up` sets it going, `down` stops it, a crash must not make it jump.

The decision is pure; two functions apply it to `ops.market`. What a clock is: `models.contracts.clock`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from models.contracts.clock import MarketClock
from models.contracts.jobs import TRAINING
from orchestration.migrations.run import current_revision
from orchestration.resources.database_errors import DatabaseError

Change = Callable[[MarketClock, datetime | None], MarketClock]


def standing(clock: MarketClock, last_market_time: datetime | None, wall: datetime, clean: bool) -> MarketClock:
    """The clock, stopped. After a clean stop it stands at now; after a crash at the last market time that any job
    saw, because hours in which nothing ran are not hours of the market. The wall clock cannot be stopped."""
    if clock.anchor is None or clock.wall_anchor is None:
        return clock
    now = clock.now(wall)
    if not clean:
        now = min(now, max(clock.anchor, last_market_time or clock.anchor))
    return MarketClock(now, None, clock.speed)


def going(clock: MarketClock, wall: datetime, speed: float) -> MarketClock:
    """A standing clock, running from now on at `speed`. The wall clock stays what it is."""
    if clock.anchor is None:
        return clock
    return MarketClock(clock.anchor, wall, speed)


def is_played(url: str) -> bool:
    """Whether this market was ever played to its end: one that was interrupted has no champions and no scores."""
    return has_market(url) and _finds(url, "select 1 from ops.job_runs where job = :job and ok", job=TRAINING)


def has_market(url: str) -> bool:
    """Whether this database holds a market; False also when there is no such database yet."""
    try:
        if current_revision(url) is None:
            return False
    except DatabaseError as error:
        if "does not exist" in str(error):
            return False
        raise
    return _finds(url, "select 1 from ops.market")


def _finds(url: str, statement: str, **values: str) -> bool:
    with create_engine(url, poolclass=NullPool).connect() as connection:
        return connection.execute(text(statement), values).first() is not None


def start_clock(url: str, wall: datetime, speed: float) -> MarketClock:
    """Let the market's time pass; heals a clock that a crash left running. Raises DatabaseError."""
    return _apply(url, lambda clock, last: going(standing(clock, last, wall, clean=False), wall, speed))


def stop_clock(url: str, wall: datetime, clean: bool) -> MarketClock:
    """Let the market's time stand. Raises DatabaseError."""
    return _apply(url, lambda clock, last: standing(clock, last, wall, clean))


def _apply(url: str, change: Change) -> MarketClock:
    from orchestration.resources.operations import Operations  # pandas: half a second that `--help` need not pay

    operations = Operations(create_engine(url, poolclass=NullPool))
    with operations.transaction() as connection:
        last = connection.execute(text("select max(market_time) from ops.job_runs")).scalar()
    clock = change(operations.clock(), last)
    operations.set_clock(clock)
    return clock
