"""`ops.gaps`, `raw.quarantine` and `ops.freshness`: what is missing, what is not believed, what has stopped.

One step, because one feeds the next: filling a gap brings rows to judge, and freshness is asked last.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pandas as pd

from models.contracts.tables import OPS_GAPS, RAW_QUARANTINE
from orchestration import keys
from orchestration.assets.ingest import SHOWN, judge
from orchestration.quality.freshness import check_freshness
from orchestration.quality.gap_scan import GapScan, scan_gaps
from orchestration.quality.reconciliation import reconcile_sources
from orchestration.resources.warehouse import Warehouse
from orchestration.resources.workspace import Workspace

_LONGEST_FIRST = 15  # series of the gap report that the UI shows


@dg.multi_asset(
    name="quality",
    specs=[
        dg.AssetSpec(
            keys.GAPS,
            deps=keys.INGEST_KEYS,
            group_name=keys.QUALITY,
            kinds={"postgres", "python"},
            description="Missing slots by each series' own calendar, found, asked for again and filled where the "
            "source has them. Grain: one row a gap.",
        ),
        dg.AssetSpec(
            keys.QUARANTINE,
            deps=keys.INGEST_KEYS,
            group_name=keys.QUALITY,
            kinds={"postgres", "python"},
            description="Rows that are rejected, held or flagged, each with its reason. Grain: one row a doubt.",
        ),
        dg.AssetSpec(
            keys.FRESHNESS,
            deps=keys.INGEST_KEYS,
            group_name=keys.QUALITY,
            kinds={"postgres", "python"},
            description="Newest row, age and allowed age of each series, in market time.",
        ),
    ],
)
def quality(context: dg.AssetExecutionContext, workspace: Workspace) -> Iterator[dg.MaterializeResult[Any]]:
    """Scan for gaps and fill them, judge what is new, compare sources, measure ages."""
    warehouse, now = workspace.warehouse, workspace.now()
    scans = scan_gaps(warehouse, workspace.market, now, context.run_id)
    yield dg.MaterializeResult(asset_key=keys.GAPS, metadata=_gap_report(warehouse, scans))
    doubts = judge(warehouse, now, context.run_id)
    disagreements = reconcile_sources(warehouse, now, workspace.universe.reconciliation.tolerance)
    yield dg.MaterializeResult(
        asset_key=keys.QUARANTINE,
        metadata={**doubts, "sources_disagree_days": disagreements, **_doubt_report(warehouse)},
    )
    ages = check_freshness(warehouse, now)
    stale = [age for age in ages if age.stale]
    yield dg.MaterializeResult(
        asset_key=keys.FRESHNESS,
        metadata={
            "dagster/row_count": len(ages),
            "stale": len(stale),
            "stalled": [f"{age.series}: {age.stalled_by}" for age in stale[:SHOWN]],
        },
    )


def _gap_report(warehouse: Warehouse, scans: list[GapScan]) -> dict[str, Any]:
    all_time = warehouse.read(
        f"select dataset, series, interval, count(*) as gaps, sum(missing_slots) as missing, "
        f"count(*) filter (where status = 'open') as open from {OPS_GAPS} group by dataset, series, interval "
        f"order by missing desc limit {_LONGEST_FIRST}"
    )
    return {
        "series_scanned": len(scans),
        "gaps_found": sum(scan.gaps_found for scan in scans),
        "gaps_fixed": sum(scan.gaps_fixed for scan in scans),
        "rows_added": sum(scan.rows_added for scan in scans),
        "dagster/row_count": int(all_time["gaps"].sum()) if len(all_time) else 0,
        "largest": dg.MetadataValue.md(markdown(all_time)),
    }


def _doubt_report(warehouse: Warehouse) -> dict[str, Any]:
    by_reason = warehouse.read(
        f"select action, reason, count(*) as rows, count(distinct series) as series from {RAW_QUARANTINE} "
        "group by action, reason order by action, rows desc"
    )
    return {
        "dagster/row_count": int(by_reason["rows"].sum()) if len(by_reason) else 0,
        "by_reason": dg.MetadataValue.md(markdown(by_reason)),
    }


def markdown(table: pd.DataFrame) -> str:
    """A small table for people; nothing there is said as such."""
    if table.empty:
        return "none"
    head = [" | ".join(table.columns), " | ".join("---" for _ in table.columns)]
    return "\n".join([*head, *(" | ".join(str(value) for value in row) for row in table.itertuples(index=False))])
