"""Raw assets: what the market says, stored as it came. One asset a dataset, partitioned by week.

Here: which window a run fetches, and the report. Sources fetch, the warehouse decides what is new, `quality` judges
what is not believed: at once, so that the checks of these tables only meet rows that nobody has judged.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
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
        now, weeks = workspace.now(), context.partition_time_window
        window = window_of(weeks.start, weeks.end, calendar)
        offered = [spec.id for spec in workspace.market.series() if spec.dataset is dataset]
        answered = [
            (asked, *ask(workspace, dataset, asked, now, context.run_id))
            for asked in questions(workspace.warehouse, dataset, window, now, offered)
        ]
        doubts = judge(workspace.warehouse, now, context.run_id) if dataset in _JUDGED else {}
        return dg.MaterializeResult(metadata=_report(answered) | doubts)

    return raw


@dataclass(frozen=True, slots=True)
class Question:
    """A window, and the series it is asked for; None: all of the dataset."""

    window: Window
    series: tuple[str, ...] | None = None


def questions(
    warehouse: Warehouse, dataset: Dataset, window: Window, now: datetime, offered: Sequence[str]
) -> list[Question]:
    """What a run over a window asks the market for; `offered`: the series that the market has.

    A closed week, a range or a backfill is asked whole. In a week that is still running each series is asked from its
    own newest row on: an hourly tick does not pay for the week, and nobody asks a provider for days that it has given.
    That row may lie in the week before: what came in its last hours is nobody else's business. Series without a row
    in both weeks are only asked for what is new; what they lack before is found by the gap scan.
    """
    if window.start is None or window.end - window.start > WEEK or not window.start <= now < window.end:
        return [Question(window)]
    marks = warehouse.rows(
        f"""
        select series, date_trunc('hour', min(newest)) as start from (
            select series, interval, max(ts) as newest from {raw_table(dataset)}
            where ts >= :low and ts < :high group by series, interval
        ) as marks group by series
        """,
        {"low": window.start - WEEK, "high": window.end},
    )
    starts: dict[str, datetime] = {row["series"]: row["start"] for row in marks}
    if not starts:
        return [Question(window)]
    together: dict[datetime, list[str]] = {}
    for series in dict.fromkeys(offered):  # a series of two intervals is one name
        together.setdefault(starts.get(series, max(starts.values())), []).append(series)
    return [Question(Window(start, window.end), tuple(names)) for start, names in sorted(together.items())]


def ask(workspace: Workspace, dataset: Dataset, asked: Question, now: datetime, run_id: str) -> tuple[Fetch, Stored]:
    """Fetch and store the answer to one question, all of it or nothing."""
    started, window = datetime.now(UTC), asked.window
    fetch = workspace.market.fetch(dataset, window.start, window.end, now, asked.series)
    stored = workspace.warehouse.store(
        dataset,
        fetch,
        window=(window.start, window.end),
        data_mode=workspace.mode,
        known_at=now,
        started_at=started,
        run_id=run_id,
    )
    return fetch, stored


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


def _report(answered: Sequence[tuple[Question, Fetch, Stored]]) -> dict[str, Any]:
    starts = [asked.window.start for asked, _, _ in answered]
    first = None if None in starts else min((start for start in starts if start is not None), default=None)
    answers = tuple(answer for _, fetch, _ in answered for answer in fetch.answers)
    frames = [fetch.frame for _, fetch, _ in answered if len(fetch.frame)]
    failed = failures(answers)
    metadata: dict[str, Any] = {
        "dagster/row_count": sum(stored.rows_added for _, _, stored in answered),
        "rows_received": sum(stored.rows_received for _, _, stored in answered),
        "rows_added": sum(stored.rows_added for _, _, stored in answered),
        "rows_rejected": sum(stored.rows_rejected for _, _, stored in answered),
        "series": sum(int(frame["series"].nunique()) for frame in frames),
        "window": f"{first.isoformat() if first else 'the beginning'} to "
        f"{max((asked.window.end for asked, _, _ in answered)).isoformat()}",
        "answers": dict(Counter(answer.outcome for answer in answers)),
    }
    if frames:
        metadata["newest"] = dg.MetadataValue.timestamp(max(frame["ts"].max() for frame in frames).to_pydatetime())
    if failed:
        metadata["failed"] = failed[:SHOWN]
    return metadata
