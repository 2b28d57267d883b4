"""Telling webhooks: what has happened since the last message, in order, signed, at least once.

A message that fails is the next one again, with the same id, until it arrives or is given up after a day; what follows
it waits. The way out, the pauses and the turn of each receiver are those of alerts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from models.contracts.tables import OPS_WEBHOOK_DELIVERIES
from models.events.feed import Event, Feed, document
from models.events.position import Position
from orchestration.alerts import outbox
from orchestration.alerts.channels.bounded import within
from orchestration.alerts.channels.guarded import Guarded
from orchestration.alerts.channels.http_post import SecretPost
from orchestration.alerts.channels.interface import ChannelError
from orchestration.alerts.delivery import TURN, Told
from orchestration.resources.warehouse_tables import Tables
from orchestration.settings import Secret, Settings, SettingsError
from orchestration.webhooks.signing import HEADER, MESSAGE_HEADER, signature_header
from orchestration.webhooks.subscriptions import Subscription, subscriptions

GIVE_UP = timedelta(hours=24)
MOST_EVENTS = 100  # of one message
_AT_ONCE = 500  # rows of a table that are looked through for it
_IDS = UUID("6f4a1c1e-3a86-4f0e-9a2c-5c2a1d7f0b11")  # any constant: the ids of messages are made in it

Clock = Callable[[], datetime]
Post = Callable[[Subscription, Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Batch:
    """The next message. `upto`: what it covers. `failed_since`: when it failed first, None if it was never sent."""

    id: UUID
    events: Sequence[Event]
    upto: Position
    failed_since: datetime | None = None
    failed_last: datetime | None = None

    def rests(self, now: datetime) -> bool:
        return (
            self.failed_since is not None
            and self.failed_last is not None
            and outbox.still_rests(self.failed_since, self.failed_last, now)
        )


def deliver(tables: Tables, settings: Settings, clock: Clock) -> list[Told]:
    """Tell each webhook what it waits for. One that another process is at is left out."""
    post = poster(settings, clock)
    told = []
    for one in subscriptions(tables):
        with outbox.turn(tables, f"webhook:{one.name}") as ours:
            if ours:
                told.append(_tell(tables, one, post, settings.market.name, clock))
    return told


def has_events(tables: Tables, now: datetime) -> bool:
    """Whether a webhook that does not rest after failures would be sent something now."""
    batches = (next_batch(tables, one) for one in subscriptions(tables))
    return any(batch is not None and not batch.rests(now) for batch in batches)


def next_batch(tables: Tables, one: Subscription) -> Batch | None:
    """What it is to be told next; None if nothing. Without events: so much was not for it that it is noted."""
    begin, failed = _standing(tables, one)
    events = Feed(tables.rows).after(begin, _AT_ONCE)
    if failed:
        upto, row = _upto(failed[-1]), failed[-1]
        events = [event for event in events if event.number <= getattr(upto, event.type)]
        wanted = [event for event in events if one.wants(event)]
        return Batch(row["message_id"], wanted, upto, failed[0]["at"], row["at"])
    wanted, upto = [], begin
    for event in events:
        upto = event.position
        if one.wants(event):
            wanted.append(event)
        if len(wanted) == MOST_EVENTS:
            break
    if not wanted and len(events) < _AT_ONCE:
        return None
    return Batch(uuid5(_IDS, f"{one.added_id}:{begin}:{upto}"), wanted, upto)


def poster(settings: Settings, clock: Clock, way_out: Callable[[], Guarded] | None = None) -> Post:
    """Signs a document with the keys of a subscription and posts it. What it returns raises ChannelError."""

    def post(one: Subscription, told: Mapping[str, Any]) -> None:
        try:
            keys = one.keys(settings, clock())
        except SettingsError as error:
            raise ChannelError(str(error)) from None  # it names the variable

        def headers(body: bytes) -> dict[str, str]:
            return {HEADER: signature_header(keys, clock(), body), MESSAGE_HEADER: str(told["id"])}

        leads_out = way_out or (lambda: Guarded(settings.webhook_private))
        sender = SecretPost(Secret(one.address), headers=headers, way_out=leads_out)
        within(lambda: sender.post(told))

    return post


def message(one: Subscription, batch: Batch, market: str) -> dict[str, Any]:
    return {
        "kind": "events", "id": str(batch.id), "webhook": one.name, "market": market,
        "events": [document(event) for event in batch.events],
    }  # fmt: skip


def states(tables: Tables) -> dict[str, dict[str, Any]]:
    """How sending to each webhook went last, and how many messages were given up, by name."""
    given_up = (
        f"(select count(*) from {OPS_WEBHOOK_DELIVERIES} as x where x.webhook = d.webhook and x.outcome = 'dead')"
    )
    rows = tables.rows(
        f"select distinct on (webhook) webhook, outcome, at, error, {given_up} as dead "
        f"from {OPS_WEBHOOK_DELIVERIES} as d where outcome <> 'skipped' order by webhook, id desc"
    )
    return {row["webhook"]: row for row in rows}


def _tell(tables: Tables, one: Subscription, post: Post, market: str, clock: Clock) -> Told:
    started = clock()
    messages = count = 0
    while clock() - started <= TURN:
        batch = next_batch(tables, one)
        if batch is None or batch.rests(clock()):
            break
        if not batch.events:
            _note(tables, one, batch, "skipped", clock(), None)
            continue
        try:
            post(one, message(one, batch, market))
        except ChannelError as error:
            is_over = batch.failed_since is not None and clock() - batch.failed_since >= GIVE_UP
            _note(tables, one, batch, "dead" if is_over else "failed", clock(), str(error))
            if not is_over:
                return Told(f"webhook {one.name}", messages, count, str(error))
            continue
        _note(tables, one, batch, "sent", clock(), None)
        messages, count = messages + 1, count + len(batch.events)
    return Told(f"webhook {one.name}", messages, count)


def _standing(tables: Tables, one: Subscription) -> tuple[Position, list[dict[str, Any]]]:
    """How far it was told, and the attempts since then that failed, oldest first."""
    asked = {"webhook": one.name, "added": one.added_id}
    of_it = f"from {OPS_WEBHOOK_DELIVERIES} where webhook = :webhook and added_id = :added"
    done = tables.rows(f"select * {of_it} and outcome <> 'failed' order by id desc limit 1", asked)
    since = done[0]["id"] if done else 0
    failed = tables.rows(f"select * {of_it} and id > :since order by id", asked | {"since": since})
    return (_upto(done[0]) if done else one.begin), failed


def _upto(row: Mapping[str, Any]) -> Position:
    return Position(row["score_upto"], row["decision_upto"], row["alert_upto"])


def _note(tables: Tables, one: Subscription, batch: Batch, outcome: str, at: datetime, error: str | None) -> None:
    tables.execute(
        f"insert into {OPS_WEBHOOK_DELIVERIES} (webhook, added_id, message_id, outcome, events, score_upto, "
        "decision_upto, alert_upto, error, at) values (:webhook, :added, :id, :outcome, :events, :score, :decision, "
        ":alert, :error, :at)",
        {
            "webhook": one.name, "added": one.added_id, "id": batch.id, "outcome": outcome,
            "events": len(batch.events), "error": error, "at": at, **batch.upto._asdict(),
        },
    )  # fmt: skip
