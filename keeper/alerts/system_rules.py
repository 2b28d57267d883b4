"""Rules about what stands around the vaults: switches, the event log, jobs, data, the alerts themselves. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from keeper.alerts.alert import Alert, AlertName, Severity
from keeper.alerts.facts import AlertLimits, ChannelFact, DatasetFact, JobFact, LogFact, Now, SwitchFact, Unread
from keeper.limits import ControlMode

KEEPER = "keeper"  # who throws the switch when no person did (`keeper.store.set_control`)
EVENT_LOG = "keeper.events"
_SHOWN = 5  # first offenders: the rest is a count


def switches(found: Sequence[SwitchFact], now: Now, limits: AlertLimits) -> Iterator[Alert]:
    """A switch that the keeper threw itself, or one that a person left thrown for a day."""
    for switch in found:
        if switch.mode == ControlMode.RUN:
            continue
        facts = {"mode": switch.mode, "reason": switch.reason, "set_by": switch.set_by, "at": switch.at.isoformat()}
        if switch.set_by == KEEPER:
            yield Alert(
                AlertName.KEEPER_HALTED, Severity.CRITICAL, switch.scope,
                f"the keeper stopped itself ({switch.scope}): {switch.reason}", now.wall, facts, str(switch.seq),
            )  # fmt: skip
        elif now.wall - switch.at > limits.pause_forgotten:
            yield Alert(
                AlertName.PAUSE_FORGOTTEN, Severity.WARNING, switch.scope,
                f"{switch.scope} stands at {switch.mode} since {switch.at:%Y-%m-%d %H:%M} ({switch.set_by})",
                now.wall, facts, str(switch.seq),
            )  # fmt: skip


def event_log(log: LogFact, now: Now) -> Iterator[Alert]:
    """The hash chain over what the keeper did does not hold."""
    if log.fault is not None:
        yield Alert(
            AlertName.EVENT_LOG_BROKEN, Severity.CRITICAL, EVENT_LOG,
            "the keeper's event log was altered", now.wall, {"fault": log.fault}, log.fault,
        )  # fmt: skip


def jobs(found: Sequence[JobFact], now: Now, limits: AlertLimits) -> Iterator[Alert]:
    """A job of the market's clock has not succeeded for longer than it may."""
    for job in found:
        if now.overdue(job.succeeded_market, job.succeeded_wall, job.allowed, limits.wall_floor):
            yield Alert(
                AlertName.JOB_LATE, Severity.WARNING, job.job,
                f"job {job.job} last succeeded at {job.succeeded_market:%Y-%m-%d %H:%M}, market time",
                now.wall,
                {"succeeded_market": job.succeeded_market.isoformat(), "succeeded_wall": job.succeeded_wall.isoformat(),
                 "allowed_s": int(job.allowed.total_seconds())},
            )  # fmt: skip


def datasets(found: Sequence[DatasetFact], now: Now) -> Iterator[Alert]:
    """Scored series are older than they may be; critical when none of a data set is fresh."""
    for dataset in found:
        if dataset.stale:
            names = [name for name, _ in dataset.stale]
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            yield Alert(
                AlertName.STALE_DATA,
                Severity.CRITICAL if len(names) == dataset.series else Severity.WARNING, dataset.dataset,
                f"{len(names)} of {dataset.series} scored series of {dataset.dataset} are stale: "
                f"{', '.join(names[:_SHOWN])}{more}",
                now.wall, {"stale": dict(dataset.stale[:_SHOWN]), "count": len(names)}, ",".join(names),
            )  # fmt: skip


def channels(found: Sequence[ChannelFact], now: Now, limits: AlertLimits) -> Iterator[Alert]:
    """A channel refuses messages; the others tell it."""
    for channel in found:
        if now.wall - channel.failing_since > limits.channel_failing:
            yield Alert(
                AlertName.CHANNEL_FAILING, Severity.WARNING, channel.name,
                f"alerts do not reach {channel.name} since {channel.failing_since:%Y-%m-%d %H:%M}: {channel.error}",
                now.wall, {"failures": channel.failures, "error": channel.error},
            )  # fmt: skip


def unread(found: Sequence[Unread], now: Now) -> Iterator[Alert]:
    """Facts that could not be read: the alerts that rest on them are blind meanwhile."""
    for group in found:
        yield Alert(
            AlertName.CHECK_FAILED, Severity.WARNING, group.group,
            f"alerts about {group.group} cannot be judged: {group.error}", now.wall, {"error": group.error},
        )  # fmt: skip


def run_failed(job: str, run_id: str, error: str | None, at: datetime) -> Alert:
    """A run of a job ended in failure. It is over when the job succeeds."""
    return Alert(
        AlertName.RUN_FAILED, Severity.WARNING, job, f"job {job} failed: {error or 'no words'}",
        at, {"run_id": run_id, "error": error}, run_id,
    )  # fmt: skip
