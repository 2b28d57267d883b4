"""De-duplication: what changes when a look meets what is known. Pure; who stores it is not known here.

An episode runs from `raised` to `cleared`. In between the same key is `repeated` when it occurs again or when a
reminder is due, `escalated` when it gets worse than it ever was. Each change says from when on a message about it may
go out; None: it is counted and nobody is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from keeper.alerts.alert import Alert, Report, Severity, key_of

# How long an alert that lasts is left unmentioned.
REMIND_AFTER = {
    Severity.CRITICAL: timedelta(hours=1),
    Severity.WARNING: timedelta(hours=6),
    Severity.INFO: timedelta(hours=24),
}
# A recovery is told only after this long, so that one that does not last is told to nobody.
SETTLE = timedelta(minutes=3)


class Event(StrEnum):
    RAISED = "raised"
    ESCALATED = "escalated"
    REPEATED = "repeated"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class Known:
    """The newest stored event of a key. `n`: its number in the episode from 0; `count`: occurrences so far; `severity`
    and `peak`: then, and at worst in the episode; `told_at`: when the episode was mentioned last."""

    name: str
    scope: str
    event: Event
    episode: int
    n: int
    count: int
    severity: Severity
    peak: Severity
    evidence: str
    summary: str
    since: datetime
    told_at: datetime
    due_at: datetime | None

    @property
    def dedup_key(self) -> str:
        return key_of(self.name, self.scope)


@dataclass(frozen=True, slots=True)
class Change:
    """An event to store. `alert` None: the end of an episode; `known` None: the first of its key."""

    event: Event
    episode: int
    n: int
    count: int
    severity: Severity
    since: datetime
    due_at: datetime | None
    alert: Alert | None
    known: Known | None


def changes(report: Report, known: Sequence[Known], now: datetime) -> list[Change]:
    """Every event that a look adds, at most one a key; the same look again adds none."""
    by_key = {item.dedup_key: item for item in known}
    return [*_met(report, by_key, now), *_over(report, known, now)]


def _met(report: Report, by_key: dict[str, Known], now: datetime) -> Iterator[Change]:
    worst: dict[str, Alert] = {}
    for alert in report.alerts:
        seen = worst.get(alert.dedup_key)
        if seen is None or alert.severity.rank > seen.severity.rank:
            worst[alert.dedup_key] = alert
    for key, alert in worst.items():
        before = by_key.get(key)
        if before is None:
            yield Change(Event.RAISED, 1, 0, 1, alert.severity, now, now, alert, None)
        elif before.event is Event.CLEARED and _settled(before, now):
            yield Change(Event.RAISED, before.episode + 1, 0, 1, alert.severity, now, now, alert, before)
        else:
            yield from _lasting(alert, before, now)


def _lasting(alert: Alert, before: Known, now: datetime) -> Iterator[Change]:
    """An alert in an open episode, or in one whose end was not told yet and now never is."""
    again = alert.evidence != before.evidence or before.event is Event.CLEARED
    count = before.count + again
    remind = abs(now - before.told_at) >= REMIND_AFTER[alert.severity]  # also after a clock that was ahead
    worse = alert.severity.rank > before.peak.rank
    if worse or again or remind or alert.severity is not before.severity:
        yield Change(
            Event.ESCALATED if worse else Event.REPEATED,
            before.episode, before.n + 1, count, alert.severity, before.since, now if worse or remind else None,
            alert, before,
        )  # fmt: skip


def _over(report: Report, known: Sequence[Known], now: datetime) -> Iterator[Change]:
    for item in known:
        if item.event is not Event.CLEARED and report.denies(item.name, item.scope):
            yield Change(
                Event.CLEARED, item.episode, item.n + 1, item.count, item.peak, item.since, now + SETTLE, None, item
            )


def _settled(cleared: Known, now: datetime) -> bool:
    """Whether its end was due. One further ahead than any recovery waits comes from a clock that was ahead."""
    return cleared.due_at is None or now >= cleared.due_at or cleared.due_at - now > SETTLE
