"""What a decision is traced and judged by: inputs of each vault's score, regret of each move, parity of each day."""

from __future__ import annotations

from alembic import op

from orchestration.migrations.append_only import append_only
from orchestration.migrations.describe import describe

revision = "0017"
down_revision = "0015"

_INPUTS = """
    create table risk.score_inputs (
        score_id bigint primary key references risk.scores (id),
        legs jsonb not null, rows integer not null check (rows > 0), first_as_of timestamptz not null,
        data_hash text not null, run_id text, recorded_at timestamptz not null default clock_timestamp()
    )"""
_REGRET = """
    create table risk.regret (
        id bigint generated always as identity primary key,
        decision_id uuid not null references keeper.decisions (id), horizon_days integer not null check (horizon_days > 0),
        vault_id text not null, decided_at timestamptz not null, scored_until timestamptz not null,
        intent_state text not null check (intent_state in ('confirmed', 'skipped')),
        expected_risk_before double precision, expected_risk_after double precision,
        expected_cost double precision not null, cost double precision not null check (cost < 1),
        return_moved double precision not null, return_stayed double precision not null,
        risk_moved double precision not null, risk_stayed double precision not null, regret double precision not null,
        data_mode text not null, run_id text, recorded_at timestamptz not null default clock_timestamp(),
        unique (decision_id, horizon_days)
    )"""
_PARITY = """
    create table risk.parity (
        id bigint generated always as identity primary key,
        vault_id text not null, day date not null, ticks integer not null check (ticks >= 0),
        guards integer not null check (guards >= 0), others integer not null check (others >= 0),
        differences jsonb not null, data_mode text not null, run_id text,
        recorded_at timestamptz not null default clock_timestamp(),
        unique (vault_id, day)
    )"""
_DESCRIBED = {
    "score_inputs": ("score_id", "legs", "rows", "first_as_of", "data_hash", "run_id", "recorded_at"),
    "regret": ("id", "decision_id", "horizon_days", "vault_id", "decided_at", "scored_until", "intent_state",
               "expected_risk_before", "expected_risk_after", "expected_cost", "cost", "return_moved", "return_stayed",
               "risk_moved", "risk_stayed", "regret", "data_mode", "run_id", "recorded_at"),
    "parity": ("id", "vault_id", "day", "ticks", "guards", "others", "differences", "data_mode", "run_id",
               "recorded_at"),
}  # fmt: skip


def upgrade() -> None:
    for statement in (_INPUTS, _REGRET, _PARITY):
        op.execute(statement)
    # From here on decisions are listed by market time, with their id where two have the same.
    op.execute("create index decisions_by_market_time on keeper.decisions (market_time desc, id desc)")
    append_only({f"risk.{table}": {} for table in _DESCRIBED})
    describe("risk", _DESCRIBED)


def downgrade() -> None:
    raise NotImplementedError("history is never dropped: restore a backup instead")
