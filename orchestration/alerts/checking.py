"""One pass: read the facts, judge them, store what changed, tell people. Safe at any time and beside any other pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from keeper.alerts.alert import AlertName, Report, key_of
from keeper.alerts.episodes import Change
from keeper.alerts.evaluate import evaluate
from keeper.alerts.facts import Now
from keeper.alerts.system_rules import run_failed
from orchestration.alerts.config import AlertConfig, alert_config
from orchestration.alerts.delivery import Told, deliver
from orchestration.alerts.facts import read_facts
from orchestration.alerts.ledger import record
from orchestration.alerts.scrub import scrubber_for
from orchestration.resources.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Passed:
    """What a pass changed and whom it told."""

    changes: list[Change]
    told: list[Told]


def judge(workspace: Workspace, config: AlertConfig, wall: datetime, run_id: str | None = None) -> list[Change]:
    """Judge the tables as they are and store what changed. Raises DatabaseUnavailable."""
    tables = workspace.warehouse
    facts = read_facts(tables, tuple(channel.name for channel in config.channels))
    report = evaluate(facts, Now(wall, tables.clock().now(wall)))
    return record(tables, report, wall, workspace.mode, run_id, scrubber_for(workspace.settings))


def check(
    workspace: Workspace,
    config: AlertConfig | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    run_id: str | None = None,
) -> Passed:
    """A whole pass. Raises DatabaseUnavailable, and SettingsError for channels that are not set up rightly."""
    channels = config or alert_config(workspace.settings)
    changed = judge(workspace, channels, clock(), run_id)
    return Passed(changed, deliver(workspace.warehouse, channels, workspace.settings.market.name, clock))


def note_run(workspace: Workspace, job: str, run_id: str, ok: bool, error: str | None, wall: datetime) -> list[Change]:
    """The end of a run: a failure raises `run_failed` of its job, a success ends it."""
    failed = () if ok else (run_failed(job, run_id, error, wall),)
    report = Report(failed, frozenset({key_of(AlertName.RUN_FAILED, job)}))
    return record(workspace.warehouse, report, wall, workspace.mode, run_id, scrubber_for(workspace.settings))
