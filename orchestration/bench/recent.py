"""A workspace that holds only the newest part of a market, with the champions of the one that holds all of it.

Nothing is trained here: both workspaces name the same model registry, and the ledger of promotions is copied, because
a champion serves only where the ledger knows it.
"""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg

from models.contracts.clock import MarketClock
from models.contracts.tables import ML_PROMOTIONS
from orchestration import keys, quiet
from orchestration.assets.ingest import judge
from orchestration.bench.ticks import SILENT
from orchestration.definitions import build_definitions
from orchestration.jobs import DEPLOY
from orchestration.partitions import write_calendar
from orchestration.quality.gap_scan import scan_gaps
from orchestration.resources.warehouse import Warehouse
from orchestration.settings import Settings
from orchestration.sources.interface import Market
from orchestration.sources.open_market import open_market


def fill(settings: Settings, database_url: str, champions_url: str, share: float) -> dict[str, int]:
    """Store the newest `share` of the market's history and make the views; returns counts of rows and promotions."""
    market = open_market(settings)
    warehouse, other = Warehouse.connect(database_url), Warehouse.connect(champions_url)
    try:
        rows = store_newest(settings, warehouse, market, share)
        promotions = copy_promotions(other, warehouse)
    finally:
        warehouse.close()
        other.close()
    with quiet.libraries(), dg.DagsterInstance.get() as instance:
        build_definitions(settings).resolve_job_def(DEPLOY).execute_in_process(instance=instance, run_config=SILENT)
    return {"rows": rows, "promotions": promotions}


def store_newest(settings: Settings, warehouse: Warehouse, market: Market, share: float) -> int:
    """Claim the database, write the catalogue and the calendar, ingest the newest `share` of the history."""
    start, now = market.history_start(), market.history_end()
    warehouse.set_market(settings.market.name, market.mode, settings.seed, MarketClock(now, None, 1.0))
    warehouse.upsert_series(market.series(), market.mode)
    write_calendar(settings, start, now)
    first, rows = now - (now - start) * share, 0
    for dataset in keys.INGESTED:
        stored = warehouse.store(
            dataset,
            market.fetch(dataset, first, now, now),
            window=(first, now),
            data_mode=market.mode,
            known_at=now,
            started_at=datetime.now(UTC),
            run_id=None,
        )
        rows += stored.rows_added
    judge(warehouse, now, run_id="bench")
    # The first scan of a series asks the source for everything before its first row, unless it may not ask at all.
    scan_gaps(warehouse, market, now, run_id=None, fill=False)
    return rows


def copy_promotions(source: Warehouse, target: Warehouse) -> int:
    """The ledger of promotions as the other workspace has it."""
    found = source.read(f"select * from {ML_PROMOTIONS}")
    return target.append_table(ML_PROMOTIONS, found.drop(columns=["id"], errors="ignore"))
