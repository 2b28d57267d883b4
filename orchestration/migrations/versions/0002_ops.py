"""Operations: the market of this database, the series catalogue, gaps, freshness, jobs, provider state."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("create schema if not exists ops")
    op.execute("""
        create table ops.market (
            singleton boolean primary key default true check (singleton),
            name text not null, data_mode text not null, seed bigint,
            clock_anchor timestamptz, wall_anchor timestamptz, clock_speed double precision,
            created_at timestamptz not null default clock_timestamp()
        )""")
    op.execute("""
        create table ops.series (
            id text not null, dataset text not null, interval text not null, kind text not null, calendar text not null,
            publication_lag_s integer not null, max_age_s integer not null,
            base text not null, quote text not null, source text not null, scored boolean not null,
            data_mode text not null, updated_at timestamptz not null default clock_timestamp(),
            primary key (dataset, id, interval)
        )""")
    op.execute("""
        create table ops.gaps (
            id bigint generated always as identity primary key,
            dataset text not null, series text not null, interval text not null,
            gap_start timestamptz not null, gap_end timestamptz not null, missing_slots integer not null,
            status text not null check (status in ('open', 'fixed', 'absent_at_source')),
            detected_at timestamptz not null, checked_at timestamptz not null, rows_added bigint not null default 0,
            unique (dataset, series, interval, gap_start)
        )""")
    op.execute("comment on column ops.gaps.gap_start is 'first missing slot'")
    op.execute("comment on column ops.gaps.gap_end is 'end of the last missing slot, exclusive'")
    op.execute("""
        create table ops.gap_scans (
            id bigint generated always as identity primary key,
            dataset text not null, series text not null, interval text not null,
            scanned_from timestamptz, scanned_to timestamptz, expected_slots bigint not null,
            gaps_found integer not null, missing_slots bigint not null, gaps_fixed integer not null,
            rows_added bigint not null, run_id text, scanned_at timestamptz not null
        )""")
    op.execute("""
        create table ops.freshness (
            dataset text not null, series text not null, interval text not null,
            newest_ts timestamptz, newest_available_at timestamptz, age_s bigint, max_age_s bigint not null,
            stale boolean not null, stalled_by text, checked_at timestamptz not null,
            primary key (dataset, series, interval)
        )""")
    op.execute("""
        create table ops.reconciliation (
            id bigint generated always as identity primary key,
            day date not null, base text not null, quote text not null, series_a text not null, series_b text not null,
            log_difference double precision not null, tolerance double precision not null,
            flagged_at timestamptz not null, unique (day, series_a, series_b)
        )""")
    op.execute("""
        create table ops.job_runs (
            id bigint generated always as identity primary key,
            job text not null, run_id text not null, ok boolean not null, error_text text,
            market_time timestamptz, started_at timestamptz not null, finished_at timestamptz not null,
            unique (job, run_id)
        )""")
    op.execute("create index job_runs_latest on ops.job_runs (job, finished_at desc)")
    op.execute("""
        create table ops.provider_state (
            provider text primary key,
            budget_window text, budget_used integer not null default 0, budget_limit integer,
            failures integer not null default 0, open_until timestamptz, last_error_kind text,
            updated_at timestamptz not null default clock_timestamp()
        )""")
    # How far each check has read each raw table: only what was stored since is judged again.
    op.execute("""
        create table ops.watermarks (
            task text not null, dataset text not null, seq bigint not null,
            updated_at timestamptz not null default clock_timestamp(), primary key (task, dataset)
        )""")


def downgrade() -> None:
    raise NotImplementedError("history is never dropped: restore a backup instead")
