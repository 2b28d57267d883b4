"""A storm is bounded: so many messages an hour and channel, worst first, the rest in summaries. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from keeper.alerts.alert import Severity

HOUR = timedelta(hours=1)
SUMMARIES_AN_HOUR = 6
SUMMARY_APART = HOUR / SUMMARIES_AN_HOUR  # nothing is kept back for longer
LEAST_AN_HOUR = SUMMARIES_AN_HOUR + 1


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event that a channel has not told yet. `event_id` grows with time."""

    event_id: int
    severity: Severity
    is_recovery: bool


@dataclass(frozen=True, slots=True)
class Sent:
    """A message of a channel: when, and whether it was a summary."""

    at: datetime
    is_summary: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """`single`: one message each, in this order. `summary`: one message about all of them. Neither: they wait."""

    single: tuple[int, ...]
    summary: tuple[int, ...]


def plan(waiting: Sequence[Waiting], sent: Sequence[Sent], now: datetime, an_hour: int) -> Plan:
    """Which events get a message of their own, which share one, which wait.

    Parameters
    ----------
    sent : messages of this channel, at least those of the last hour.
    an_hour : most messages in any hour; six of them are kept for summaries, ten minutes apart.

    Returns
    -------
    Plan
        With at most `an_hour` messages in the hour that ends now, this plan's included.
    """
    # Either side of now: a clock that was set back must not let old messages fill the hour for days.
    lately = [message for message in sent if abs(now - message.at) < HOUR]
    free = max(an_hour - SUMMARIES_AN_HOUR - sum(not message.is_summary for message in lately), 0)
    ordered = sorted(waiting, key=lambda item: (item.is_recovery, -item.severity.rank, item.event_id))
    single = tuple(item.event_id for item in ordered[:free])
    rest = tuple(item.event_id for item in ordered[free:])
    told = [message.at for message in lately if message.is_summary]
    may_summarise = len(told) < SUMMARIES_AN_HOUR and (not told or abs(now - max(told)) >= SUMMARY_APART)
    return Plan(single, rest if may_summarise else ())
