"""What handlers are given: the store, the market with its clock, the desk that takes runs, a strict JSON body.

Those that only fetch an object are `async`: the framework gives every other one a thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, Request
from sqlalchemy.engine import RowMapping

from models.contracts.clock import MarketClock
from serving.answers import RecentAnswers
from serving.errors import Problem
from serving.runs import Desk, read_body
from serving.schemas import Market
from serving.store import Store


async def get_store(request: Request) -> Store:
    store = request.app.state.store
    assert isinstance(store, Store)
    return store


def get_market(store: Annotated[Store, Depends(get_store)]) -> Market:
    """Name, mode and time of the market. 503 before the pipeline has ever run."""
    return market_of(read_market(store))


def read_market(store: Store) -> RowMapping:
    """The row of the market. 503 before the pipeline has ever run."""
    row = store.market()
    if row is None:
        raise Problem(
            503, "no_market", "Nothing has been materialized yet",
            "The pipeline has not run against this database: start it with `make run`.", retry_after_s=60,
        )  # fmt: skip
    return row


def market_of(row: Mapping[Any, Any], wall: datetime | None = None) -> Market:
    """The market of a row at a moment of the wall clock, by default now: it goes on without the database."""
    speed = row["clock_speed"]
    clock = MarketClock(row["clock_anchor"], row["wall_anchor"], 1.0 if speed is None else speed)
    return Market(name=row["name"], data_mode=row["data_mode"], time=clock.now(wall or datetime.now(UTC)))


async def get_desk(request: Request) -> Desk:
    desk = request.app.state.desk
    assert isinstance(desk, Desk)
    return desk


async def get_recent(request: Request) -> RecentAnswers:
    recent = request.app.state.recent
    assert isinstance(recent, RecentAnswers)
    return recent


StoreDep = Annotated[Store, Depends(get_store)]
MarketDep = Annotated[Market, Depends(get_market)]
AnswersDep = Annotated[RecentAnswers, Depends(get_recent)]
DeskDep = Annotated[Desk, Depends(get_desk)]
BodyDep = Annotated[Any, Depends(read_body)]
