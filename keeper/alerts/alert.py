"""What an alert is. Pure vocabulary: when one is raised is `keeper.alerts.evaluate`, who is told is not known here.

A member of `AlertName` is stored as text and is the heading of an entry of docs/runbook.md, so it is never renamed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

RUNBOOK = "docs/runbook.md"


class Severity(StrEnum):
    """INFO: to know. WARNING: look at it today. CRITICAL: look at it now, funds or their safety are concerned."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for INFO, higher is worse."""
        return list(Severity).index(self)


class AlertName(StrEnum):
    # the keeper does not do its work
    MISSED_TICK = "missed_tick"
    STALE_SCORE = "stale_score"
    CHAIN_UNAVAILABLE = "chain_unavailable"
    # a transaction needs somebody
    UNRESOLVED_ATTEMPT = "unresolved_attempt"
    NEEDS_HUMAN = "needs_human"
    AWAITING_APPROVAL = "awaiting_approval"
    TRANSACTION_FAILED = "transaction_failed"
    MOVE_REFUSED = "move_refused"
    FEE_SURGE = "fee_surge"
    LOW_BALANCE = "low_balance"
    KEY_USED_ELSEWHERE = "key_used_elsewhere"
    # a guard found danger
    ROLE_MOVED = "role_moved"
    CODE_CHANGED = "code_changed"
    WRONG_NETWORK = "wrong_network"
    PRICES_DISAGREE = "prices_disagree"
    SCORE_OUT_OF_RANGE = "score_out_of_range"
    GUARD_REFUSED = "guard_refused"
    # switches and the log
    KEEPER_HALTED = "keeper_halted"
    PAUSE_FORGOTTEN = "pause_forgotten"
    EVENT_LOG_BROKEN = "event_log_broken"
    # the pipeline around it
    RUN_FAILED = "run_failed"
    JOB_LATE = "job_late"
    STALE_DATA = "stale_data"
    CHECK_FAILED = "check_failed"
    CHANNEL_FAILING = "channel_failing"


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that a person should know of.

    `scope`: what it is about (vault id, job, data set, channel). `summary`: one sentence. `facts`: JSON values.
    `at`: wall time, UTC. `evidence`: what it rests on (a decision, a run); the same condition with other evidence has
    occurred once more, with the same evidence it only lasts.
    """

    name: AlertName
    severity: Severity
    scope: str
    summary: str
    at: datetime
    facts: Mapping[str, Any] = field(default_factory=dict)
    evidence: str = ""

    @property
    def dedup_key(self) -> str:
        """Two alerts with the same key are one."""
        return key_of(self.name, self.scope)


@dataclass(frozen=True, slots=True)
class Report:
    """What one look found. A key that is not among `alerts` is over only if somebody looked for it: its name is in
    `looked_at`, or the key itself, and the key is not in `unknown`."""

    alerts: tuple[Alert, ...]
    looked_at: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()

    def denies(self, name: str, scope: str) -> bool:
        """Whether this look says that (name, scope) is over."""
        key = key_of(name, scope)
        if key in self.unknown or any(alert.dedup_key == key for alert in self.alerts):
            return False
        return name in self.looked_at or key in self.looked_at


def key_of(name: str, scope: str) -> str:
    return f"{name}:{scope}"


def anchor(name: str) -> str:
    """Where the runbook speaks of an alert."""
    return f"{RUNBOOK}#{name}"


def span(length: timedelta) -> str:
    """How long, for a sentence."""
    minutes = int(length.total_seconds() // 60)
    days, hours = minutes // 1440, minutes % 1440 // 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
