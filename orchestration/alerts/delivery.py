"""Telling people: for each channel what still waits, as messages within the bounds of a storm.

Delivery is at least once: a process that dies between a message and its record sends it again. A channel that fails is
left alone until the next pass, and never stops the others. A message that failed is tried after those that did not:
one that a channel never takes holds back no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from keeper.alerts.alert import Severity
from keeper.alerts.episodes import Event
from keeper.alerts.storm import Plan, Waiting, plan
from orchestration.alerts import outbox
from orchestration.alerts.channels.bounded import send_in_time
from orchestration.alerts.channels.interface import Channel, ChannelError, Message
from orchestration.alerts.config import AlertConfig
from orchestration.alerts.message import message_of, summary_of
from orchestration.resources.warehouse_tables import Tables

TURN = timedelta(minutes=1)  # the next channel waits no longer; what is left goes out with the next pass


@dataclass(frozen=True, slots=True)
class Told:
    """What a channel was told in one pass. `error`: why it was left alone, None if it was not."""

    channel: str
    messages: int
    events: int
    error: str | None = None


def deliver(
    tables: Tables, config: AlertConfig, market: str, clock: Callable[[], datetime], only_local: bool = False
) -> list[Told]:
    """Send what waits. A channel that another process is at is left out. `only_local`: touch no network."""
    told = []
    for channel in config.channels:
        if only_local and channel.leaves_machine:
            continue
        with outbox.turn(tables, channel.name) as ours:
            if ours:
                told.append(_tell(tables, config, channel, market, clock))
    return told


def has_messages(tables: Tables, config: AlertConfig, now: datetime) -> bool:
    """Whether a channel that leaves this machine, and does not rest after failures, would be sent something now."""
    away = [channel for channel in config.channels if channel.leaves_machine]
    return any(
        _planned(tables, config, channel, now)[1] != Plan((), ()) and not outbox.rests(tables, channel.name, now)
        for channel in away
    )


def _planned(
    tables: Tables, config: AlertConfig, channel: Channel, now: datetime
) -> tuple[dict[int, dict[str, Any]], Plan]:
    events = {row["id"]: row for row in outbox.waiting(tables, channel.name, now, config.least)}
    queue = [Waiting(i, Severity(row["severity"]), row["event"] == Event.CLEARED) for i, row in events.items()]
    return events, plan(queue, outbox.sent_lately(tables, channel.name, now), now, config.an_hour)


def _tell(tables: Tables, config: AlertConfig, channel: Channel, market: str, clock: Callable[[], datetime]) -> Told:
    started = clock()
    events, planned = _planned(tables, config, channel, started)
    messages = count = 0
    for ids, outcome, message in _messages(events, planned, market):
        if clock() - started > TURN:
            break
        error = _send(channel, message)
        outbox.note(tables, ids, channel.name, outcome if error is None else "failed", uuid4(), clock(), error)
        if error is not None:
            return Told(channel.name, messages, count, error)
        messages, count = messages + 1, count + len(ids)
    return Told(channel.name, messages, count)


def _messages(
    events: dict[int, dict[str, Any]], planned: Plan, market: str
) -> Iterator[tuple[Sequence[int], str, Message]]:
    """Those that failed least often first, else as planned."""
    batches: list[tuple[Sequence[int], str]] = [([event], "sent") for event in planned.single]
    if planned.summary:
        batches.append((planned.summary, "summarised"))
    for ids, outcome in sorted(batches, key=lambda batch: max(events[i]["failures"] for i in batch[0])):
        told = [events[i] for i in ids]
        yield ids, outcome, message_of(told[0], market) if outcome == "sent" else summary_of(told, market)


def _send(channel: Channel, message: Message) -> str | None:
    try:
        send_in_time(channel, message)
    except ChannelError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - a defect of one channel must not silence the others
        return f"defect of the channel ({type(error).__name__})"  # its words might quote a key
    return None
