"""Keeper: every decision, the intents that follow, each signed attempt, a hash-chained event log, the kill switch."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("create schema keeper")
    op.execute("""
        create table keeper.decisions (
            id uuid primary key,
            vault_id text not null, policy_version text not null, score_as_of timestamptz,
            verdict text not null check (verdict in ('rebalance', 'hold', 'refuse')),
            reasons text[] not null, inputs jsonb not null, plan jsonb,
            data_mode text not null, phase text not null, market_time timestamptz not null,
            run_id text, created_at timestamptz not null default clock_timestamp()
        )""")
    # One acting decision per score: a re-materialised hour must not act twice. Every tick may hold or refuse again.
    op.execute(
        "create unique index one_rebalance_per_score on keeper.decisions (vault_id, policy_version, score_as_of) "
        "where verdict = 'rebalance'"
    )
    op.execute("create index decisions_latest on keeper.decisions (vault_id, created_at desc)")
    op.execute("""
        create table keeper.intents (
            id uuid primary key,
            decision_id uuid not null unique references keeper.decisions (id),
            vault_id text not null, source_account text not null, action text not null,
            plan jsonb not null, plan_hash text not null,
            state text not null check (state in ('planned', 'simulated', 'signing', 'signed', 'submitted', 'confirmed',
                'failed', 'expired', 'unknown', 'rejected', 'skipped', 'cancelled', 'abandoned', 'needs_human')),
            reason text, attempts integer not null default 0, not_after timestamptz not null, prepared jsonb,
            created_at timestamptz not null default clock_timestamp(),
            updated_at timestamptz not null default clock_timestamp(), version integer not null default 0
        )""")
    op.execute(
        "comment on column keeper.intents.not_after is 'market time after which the score no longer justifies it'"
    )
    op.execute("comment on column keeper.intents.prepared is 'simulated envelope while it waits for a signature'")
    # An intent that waits for a human blocks its account too: its effect is not known.
    op.execute(
        "create unique index one_undecided_intent_per_account on keeper.intents (source_account) where state in "
        "('simulated', 'signing', 'signed', 'submitted', 'expired', 'unknown', 'needs_human')"
    )
    op.execute("""
        create table keeper.attempts (
            intent_id uuid not null references keeper.intents (id), n integer not null,
            sequence bigint not null, unsigned_xdr text not null, tx_hash text not null unique, signed_xdr text,
            max_time bigint not null, max_ledger bigint, fee_bid bigint not null,
            inclusion_fee bigint, resource_fee bigint, sim_ledger bigint, first_sent_ledger bigint,
            last_sent_ledger bigint,
            state text not null, result_code text, contract_error text, ledger bigint, fee_charged bigint,
            created_at timestamptz not null default clock_timestamp(), decided_at timestamptz,
            primary key (intent_id, n)
        )""")
    op.execute("create index attempts_by_sequence on keeper.attempts (sequence)")
    op.execute("""
        create table keeper.events (
            seq bigint generated always as identity primary key,
            intent_id uuid references keeper.intents (id), at timestamptz not null default clock_timestamp(),
            kind text not null, body jsonb not null, prev_hash text not null, hash text not null unique
        )""")
    op.execute("""
        create table keeper.control (
            seq bigint generated always as identity primary key,
            scope text not null, mode text not null check (mode in ('run', 'reduce_only', 'halt')),
            reason text not null, set_by text not null, at timestamptz not null default clock_timestamp()
        )""")
    op.execute("comment on table keeper.control is 'kill switch, append-only: the newest row of a scope rules'")
    for table in ("decisions", "events", "control"):
        op.execute(
            f"create trigger append_only before update or delete on keeper.{table} "
            "for each row execute function raw.refuse_change()"
        )


def downgrade() -> None:
    raise NotImplementedError("history is never dropped: restore a backup instead")
