"""Raw assets: what the market says, stored as it came. One asset a dataset, partitioned by week.

Here: which window a run fetches, and the report. Sources fetch, the warehouse decides what is new, `quality` judges
what is not believed: at once, so that the checks of these tables only meet rows that nobody has judged.
"""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from models.contracts.market import Dataset
from orchestration import keys, quiet
from orchestration.partitions import WEEK, Calendar, Window, weekly_partitions, window_of
from orchestration.quality.flags import flag_rows
from orchestration.quality.suspects import hold_suspects
from orchestration.resources.warehouse import Warehouse
from orchestration.resources.warehouse_append import raw_table
from orchestration.resources.warehouse_records import Stored
from orchestration.resources.workspace import Workspace
from orchestration.sources.interface import Answer, Fetch

_JUDGED = (Dataset.FX_RATES, Dataset.CANDLES, Dataset.FUNDING)
SHOWN = 5  # entries of a list that metadata shows; the tables hold all of them

_ABOUT = {
    Dataset.FX_RATES: "Official and street exchange rates: one row a revision of (series, interval, ts).",
    Dataset.CANDLES: "Bars of coins against USDT: one row a revision of (series, interval, ts).",
    Dataset.FUNDING: "Funding rates of perpetual contracts: a fraction per funding interval.",
    Dataset.OPEN_INTEREST: "Open interest of perpetual contracts, in coins and dollars.",
}


def raw_assets(calendar: Calendar) -> list[dg.AssetsDefinition]:
    """One asset for each dataset that a market delivers."""
    with quiet.libraries():  # Dagster says of backfill policies that they may still change
        return [_raw_asset(dataset, calendar) for dataset in keys.INGESTED]


def _raw_asset(dataset: Dataset, calendar: Calendar) -> dg.AssetsDefinition:
    @dg.asset(
        key=keys.key_of(raw_table(dataset)),
        partitions_def=weekly_partitions(calendar),
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name=keys.RAW,
        kinds={"postgres", "python"},
        description=f"{_ABOUT[dataset]} Append-only with two clocks; a second run of a window adds nothing. "
        "A partition is one week (Monday, UTC); the first one also takes all history before it.",
    )
    def raw(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult[Any]:
        started, now = datetime.now(UTC), workspace.now()
        weeks = context.partition_time_window
        window = narrowed(workspace.warehouse, dataset, window_of(weeks.start, weeks.end, calendar), now)
        fetch = workspace.market.fetch(dataset, window.start, window.end, now)
        stored = workspace.warehouse.store(
            dataset,
            fetch,
            window=(window.start, window.end),
            data_mode=workspace.mode,
            known_at=now,
            started_at=started,
            run_id=context.run_id,
        )
        doubts = judge(workspace.warehouse, now, context.run_id) if dataset in _JUDGED else {}
        return dg.MaterializeResult(metadata=_report(window, fetch, stored) | doubts)

    return raw


def narrowed(warehouse: Warehouse, dataset: Dataset, window: Window, now: datetime) -> Window:
    """The part of a window that a run has to ask for.

    A week that is still running is asked from its oldest watermark on, so that an hourly tick does not pay for the
    week; series without a row in it are left to the gap scan. A closed week, a range or a backfill is asked whole.
    """
    if window.start is None or window.end - window.start > WEEK or not window.start <= now < window.end:
        return window
    marks = warehouse.read(
        f"select series, max(ts) as newest from {raw_table(dataset)} where ts >= :start and ts < :end group by series",
        {"start": window.start, "end": window.end},
    )
    return window if marks.empty else Window(marks["newest"].min().to_pydatetime(), window.end)


def judge(warehouse: Warehouse, now: datetime, run_id: str) -> dict[str, Any]:
    """Hold and flag what came since the last judgement; counts by reason, for the report."""
    held = hold_suspects(warehouse, now, run_id)
    flagged = flag_rows(warehouse, now, run_id)
    return {"held": held.holds, "released": held.releases, "flagged": flagged}


def failures(answers: tuple[Answer, ...]) -> list[str]:
    """One line for each answer that failed."""
    return [
        f"{a.series or 'all series'} from {a.provider}: {a.error_kind}: {a.error_text}"
        for a in answers
        if a.outcome == "failed"
    ]


def _report(window: Window, fetch: Fetch, stored: Stored) -> dict[str, Any]:
    frame, failed = fetch.frame, failures(fetch.answers)
    metadata: dict[str, Any] = {
        "dagster/row_count": stored.rows_added,
        "rows_received": stored.rows_received,
        "rows_added": stored.rows_added,
        "rows_rejected": stored.rows_rejected,
        "series": int(frame["series"].nunique()) if len(frame) else 0,
        "window": f"{window.start.isoformat() if window.start else 'the beginning'} to {window.end.isoformat()}",
        "answers": dict(Counter(answer.outcome for answer in fetch.answers)),
    }
    if len(frame):
        metadata["newest"] = dg.MetadataValue.timestamp(frame["ts"].max().to_pydatetime())
    if failed:
        metadata["failed"] = failed[:SHOWN]
    return metadata
