"""Alerts: what was raised, repeated and cleared, and what each channel was told. Both are append-only."""

from __future__ import annotations

from alembic import op

from orchestration.migrations.append_only import append_only
from orchestration.migrations.describe import describe

revision = "0018"
down_revision = "0017"

# The unique key is what two processes meet at: the second to raise the same episode is refused.
_EVENTS = """
    create table ops.alert_events (
        id bigint generated always as identity primary key,
        dedup_key text not null, name text not null, scope text not null,
        event text not null check (event in ('raised', 'escalated', 'repeated', 'cleared')),
        episode integer not null check (episode > 0), n integer not null check (n >= 0),
        count integer not null check (count > 0),
        severity text not null check (severity in ('info', 'warning', 'critical')),
        summary text not null, facts jsonb not null, evidence text not null, runbook text not null,
        since timestamptz not null, at timestamptz not null, due_at timestamptz,
        data_mode text not null, run_id text, recorded_at timestamptz not null default clock_timestamp(),
        unique (dedup_key, episode, n)
    )"""
_DELIVERIES = """
    create table ops.alert_deliveries (
        id bigint generated always as identity primary key,
        event_id bigint not null references ops.alert_events (id), channel text not null,
        outcome text not null check (outcome in ('sent', 'summarised', 'failed')),
        message_id uuid not null, error text, at timestamptz not null,
        recorded_at timestamptz not null default clock_timestamp()
    )"""
_DESCRIBED = {
    "alert_events": ("id", "dedup_key", "name", "scope", "event", "episode", "n", "count", "severity", "summary",
                     "facts", "evidence", "runbook", "since", "at", "due_at", "data_mode", "run_id", "recorded_at"),
    "alert_deliveries": ("id", "event_id", "channel", "outcome", "message_id", "error", "at", "recorded_at"),
}  # fmt: skip


def upgrade() -> None:
    op.execute(_EVENTS)
    op.execute(_DELIVERIES)
    op.execute("create index alert_events_newest on ops.alert_events (dedup_key, id desc)")
    op.execute("create index alert_events_due on ops.alert_events (due_at) where due_at is not null")
    op.execute(
        "create unique index told_once on ops.alert_deliveries (event_id, channel) "
        "where outcome in ('sent', 'summarised')"
    )
    op.execute("create index alert_deliveries_newest on ops.alert_deliveries (channel, at desc)")
    append_only({f"ops.{table}": {} for table in _DESCRIBED})
    describe("ops", _DESCRIBED)


def downgrade() -> None:
    raise NotImplementedError("history is never dropped: restore a backup instead")
