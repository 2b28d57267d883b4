"""Moving the clock of a scratch market by whole hours. Plain SQL: the process that conducts the bench stays small."""

from __future__ import annotations

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from models.contracts.tables import OPS_MARKET


def advance(url: str, hours: int = 1) -> None:
    """Let a standing clock stand `hours` later."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(
            text(f"update {OPS_MARKET} set clock_anchor = clock_anchor + make_interval(hours => :hours)"),
            {"hours": hours},
        )
