"""`play`: the whole asset graph of a market, once, in this process: what `make run` does.

Dagster runs on the workspace's own instance, so that they can be looked at in the UI later: views of the installed
software, the weeks that were not ingested yet, then everything below them. What libraries print goes to a log.
A killed play leaves nothing behind that the next one does not finish: each asset writes what is missing and nothing
twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from dagster._core.utils import make_new_run_id

from models.contracts import jobs as names
from models.contracts.clock import MarketClock
from models.contracts.market import DataMode
from orchestration import keys, quiet
from orchestration.dbt_command import target_folder
from orchestration.dbt_deploy import is_deployed, mark_deployed
from orchestration.definitions import build_definitions
from orchestration.folders import logs
from orchestration.jobs import DEPLOY, FEATURES, INGEST, PLAY
from orchestration.local.database import workspace_databases
from orchestration.local.dead_runs import end_dead_runs
from orchestration.local.devnet_process import running_devnet
from orchestration.local.progress import Progress
from orchestration.partitions import Calendar, partition_of, weekly_partitions, write_calendar
from orchestration.resources.workspace import Workspace
from orchestration.settings import Settings

PLAYED_TAG = "ballast/played"
_DBT_SAID = "Errors parsed from dbt logs:"
# Scheduled jobs that a play stands in for, by the step that ends them.
_STANDS_FOR = {
    names.HOURLY_REFRESH: "risk__target_allocations",
    names.TRAINING: "ml__promotions",
    names.KEEPER: "keeper__decisions",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """A step that failed, and why in one line."""

    step: str
    reason: str


@dataclass(frozen=True, slots=True)
class PlayResult:
    """How a play went. `rows_added`: by step, as the assets reported."""

    failures: tuple[Failure, ...]
    rows_added: Mapping[str, int]
    run_ids: tuple[str, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        return not self.failures


def play(settings: Settings, progress: Progress) -> PlayResult:
    """Play the market once. The workspace is prepared (`orchestration.local.prepare`) and held by this process.

    A step that fails is told to `progress` and stands in the result; what does not depend on it still runs.
    Raises the errors of the market, the database and the devnet, each with one line.
    """
    began = time.monotonic()
    with quiet.libraries(), _aside(settings):
        workspace = Workspace.of(settings, workspace_databases(settings).ballast)
        try:
            calendar = _open(workspace, progress)
            definitions = build_definitions(settings)
            with running_devnet(settings, progress), dg.DagsterInstance.get() as instance:
                told = _Play(instance, definitions, workspace, progress)
                end_dead_runs(instance)  # nobody else works here while this play holds the workspace
                told.deploy()
                told.run(INGEST, _weeks(instance, calendar, workspace.now()))
                told.run(PLAY, {})
                told.record()
        finally:
            workspace.close()
    return PlayResult(tuple(told.failures), told.rows, tuple(told.run_ids), time.monotonic() - began)


def deploy(settings: Settings, progress: Progress) -> bool:
    """Make the views of the installed software where the database lacks them, and with them the features that stood on
    the old ones: all that a new version asks of a market that was played before. False when it failed, which was told
    to `progress`."""
    with quiet.libraries(), _aside(settings):
        workspace = Workspace.of(settings, workspace_databases(settings).ballast)
        try:
            with dg.DagsterInstance.get() as instance:
                told = _Play(instance, build_definitions(settings), workspace, progress)
                if told.deploy():
                    told.run(FEATURES, {})
        finally:
            workspace.close()
    return not told.failures


@contextmanager
def _aside(settings: Settings) -> Iterator[None]:
    """What dbt and MLflow print, in the log of plays: the terminal belongs to the progress."""
    with (logs(settings) / "play.log").open("a", encoding="utf-8") as log, redirect_stdout(log), redirect_stderr(log):
        yield


def _open(workspace: Workspace, progress: Progress) -> Calendar:
    """Claim the database for this market, write its catalogue and its calendar."""
    progress.started("open market")
    settings, market, warehouse = workspace.settings, workspace.market, workspace.warehouse
    live = market.mode is DataMode.LIVE
    clock = MarketClock(None if live else market.history_end(), None, 1.0)
    warehouse.set_market(settings.market.name, market.mode, settings.seed, clock)
    count = warehouse.upsert_series(market.series(), market.mode)
    calendar = write_calendar(settings, market.history_start(), workspace.now())
    progress.finished("open market", detail=f"{count} series, clock {workspace.now():%Y-%m-%d %H:%M} UTC")
    return calendar


def _weeks(instance: dg.DagsterInstance, calendar: Calendar, now: datetime) -> dict[str, str]:
    """Tags of a run over the weeks from the first that some asset lacks to the current one, which is always asked."""
    current = partition_of(now, calendar)
    weeks = [week for week in weekly_partitions(calendar).get_partition_keys() if week <= current]
    have = [instance.get_materialized_partitions(key) for key in keys.INGEST_KEYS]
    first = next((week for week in weeks[:-1] if any(week not in done for done in have)), current)
    return {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": current}


class _Play:
    """Runs jobs on one instance and tells what happens."""

    def __init__(
        self, instance: dg.DagsterInstance, definitions: dg.Definitions, workspace: Workspace, progress: Progress
    ) -> None:
        self.instance, self.definitions, self.workspace, self.progress = instance, definitions, workspace, progress
        self.failures: list[Failure] = []
        self.rows: dict[str, int] = {}
        self.run_ids: list[str] = []
        self._detail: dict[str, str] = {}
        self._done: set[str] = set()
        self._started = datetime.now(UTC)

    def deploy(self) -> bool:
        """Make the views of the installed software, unless the database has them already. Whether it did anything."""
        warehouse, target = self.workspace.warehouse, target_folder(self.workspace.settings)
        with warehouse.transaction() as connection:
            if is_deployed(connection, target):
                return False
        self.run(DEPLOY, {})
        if not self.failures:
            with warehouse.transaction() as connection:
                mark_deployed(connection)
        return True

    def run(self, job: str, tags: Mapping[str, str]) -> None:
        """Run a job to its end, unless a part before it failed: its tables would only be half of what they say."""
        if self.failures:
            return
        run_id = make_new_run_id()
        self.run_ids.append(run_id)
        self.instance.add_event_listener(run_id, self._heard)
        result = self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            run_id=run_id,
            tags={**tags, PLAYED_TAG: "yes"},
            # Failures are told by `progress`, in one line each; the whole story is in the event log.
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            raise_on_error=False,
        )
        if not result.success and not self.failures:
            self._fail(job, "the run failed: see its event log")

    def _heard(self, entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        if event is None or event.step_key is None:
            return
        step, kind = event.step_key, event.event_type_value
        if kind == "STEP_START":
            self.progress.started(_title(step))
        elif kind == "ASSET_MATERIALIZATION":
            self._note(step, event.step_materialization_data.materialization.metadata)
        elif kind == "ASSET_CHECK_EVALUATION":
            self._checked(event.asset_check_evaluation_data)
        elif kind == "STEP_SUCCESS":
            self._done.add(step)
            self.progress.finished(_title(step), self.rows.get(step), self._detail.get(step, ""))
        elif kind == "STEP_FAILURE":
            self._fail(step, _first_line(event))

    def _note(self, step: str, metadata: Mapping[str, Any]) -> None:
        # A run over weeks reports the same metadata once a week, a step with several tables once a table: what it
        # says about rows added comes first.
        if "rows_added" in metadata:
            self.rows[step] = int(metadata["rows_added"].value)
        elif "dagster/row_count" in metadata:
            self.rows.setdefault(step, int(metadata["dagster/row_count"].value))

    def _checked(self, evaluation: Any) -> None:
        if not evaluation.passed:
            name = f"{evaluation.asset_key.to_user_string()}:{evaluation.check_name}"
            said = f"check {name} does not hold"
            if evaluation.blocking and evaluation.severity.value == "ERROR":
                self._fail(name, said + _offenders(evaluation.metadata))
            else:
                self.progress.note(f"{said}{_offenders(evaluation.metadata)}")

    def _fail(self, step: str, reason: str) -> None:
        if step not in {failure.step for failure in self.failures}:
            self.failures.append(Failure(step, reason))
            self.progress.failed(_title(step), reason)

    def record(self) -> None:
        """The scheduled jobs that this play stood in for, as done or not: the health page counts them."""
        finished = datetime.now(UTC)
        for job, step in _STANDS_FOR.items():
            done = step in self._done
            self.workspace.warehouse.record_job_run(
                job,
                self.run_ids[-1],
                ok=done,
                started_at=self._started,
                finished_at=finished,
                market_time=self.workspace.now(),
                error_text=None if done else "; ".join(f"{f.step}: {f.reason}" for f in self.failures)[:500],
            )


def _title(step: str) -> str:
    """`raw__fx_rates_expectations` -> `raw/fx_rates expectations`."""
    schema, separator, rest = step.partition("__")
    return f"{schema}/{rest}" if separator else step.replace("_", " ")


def _offenders(metadata: Mapping[str, Any]) -> str:
    found = metadata.get("offenders")
    return f":\n{found.value}" if found is not None else ""


def _first_line(event: Any) -> str:
    """The innermost error of a failed step in one line: the outer ones only say in which step it happened."""
    error = event.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    if error is None:
        return "failed"
    # dbt's own words stand at the end, behind the command and the advice to look for them.
    said = " ".join(error.message.split()).partition(_DBT_SAID)
    return (said[2].strip() or said[0])[:500]
