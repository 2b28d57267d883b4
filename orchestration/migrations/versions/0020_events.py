"""What is told to programs: decisions numbered as they come, the rung on which a score was made, webhooks and what each
was sent."""

from __future__ import annotations

from alembic import op

from orchestration.migrations.append_only import append_only
from orchestration.migrations.describe import describe

revision = "0020"
down_revision = "0019"

# Null in rows that are older than this revision.
_RUNG = "alter table risk.scores add column rung text check (rung in ('champion', 'baseline', 'none'))"
_SEQ = "alter table keeper.decisions add column seq bigint generated always as identity"
_WEBHOOKS = """
    create table ops.webhooks (
        id bigint generated always as identity primary key,
        name text not null check (name ~ '^[a-z][a-z0-9_-]{0,31}$'),
        action text not null check (action in ('added', 'rotated', 'removed')),
        address text not null, types text[] not null, series text[] not null,
        key_id text not null, old_key_id text, old_key_until timestamptz,
        score_from bigint not null, decision_from bigint not null, alert_from bigint not null,
        at timestamptz not null, recorded_at timestamptz not null default clock_timestamp()
    )"""
_DELIVERIES = """
    create table ops.webhook_deliveries (
        id bigint generated always as identity primary key,
        webhook text not null, added_id bigint not null references ops.webhooks (id), message_id uuid not null,
        outcome text not null check (outcome in ('sent', 'failed', 'dead', 'skipped')),
        events integer not null check (events >= 0),
        score_upto bigint not null, decision_upto bigint not null, alert_upto bigint not null,
        error text, at timestamptz not null, recorded_at timestamptz not null default clock_timestamp()
    )"""
_DESCRIBED = {
    "webhooks": ("id", "name", "action", "address", "types", "series", "key_id", "old_key_id", "old_key_until",
                 "score_from", "decision_from", "alert_from", "at", "recorded_at"),
    "webhook_deliveries": ("id", "webhook", "added_id", "message_id", "outcome", "events", "score_upto",
                           "decision_upto", "alert_upto", "error", "at", "recorded_at"),
}  # fmt: skip


def upgrade() -> None:
    for statement in (_RUNG, _SEQ, _WEBHOOKS, _DELIVERIES):
        op.execute(statement)
    op.execute("create unique index seq_once on keeper.decisions (seq)")
    op.execute("create index decisions_in_turn on keeper.decisions (vault_id, seq desc)")
    op.execute("create index webhooks_newest on ops.webhooks (name, id desc)")
    op.execute("create index webhook_deliveries_newest on ops.webhook_deliveries (webhook, added_id, id desc)")
    append_only({f"ops.{table}": {} for table in _DESCRIBED})
    describe("ops", _DESCRIBED)
    describe("risk", {"scores": ("rung",)})
    describe("keeper", {"decisions": ("seq",)})


def downgrade() -> None:
    raise NotImplementedError("history is never dropped: restore a backup instead")
