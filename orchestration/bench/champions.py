"""How many models serve in a workspace: without one a tick scores nothing and its time says little. Plain SQL."""

from __future__ import annotations

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from models.contracts.tables import ML_PROMOTIONS
from orchestration.bench.document import Unmeasured


def promoted_champions(url: str) -> int:
    """Models that the ledger of promotions names. Raises Unmeasured where there is none."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        count = connection.execute(text(f"select count(distinct model_name) from {ML_PROMOTIONS}")).scalar_one()
    if not count:
        raise Unmeasured("promoted_champions is 0: the play promoted no model, so nothing would be scored or served")
    return int(count)
