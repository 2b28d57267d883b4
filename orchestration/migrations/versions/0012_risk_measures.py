"""Value at risk of each score by several methods, and correlation matrices of each day: append-only."""

from __future__ import annotations

from alembic import op

from orchestration.migrations.append_only import append_only
from orchestration.migrations.describe import describe

revision = "0012"
down_revision = "0011"

_VAR = """
    create table risk.var (
        id bigint generated always as identity primary key,
        score_id bigint not null references risk.scores (id),
        subject text not null, horizon_days integer not null,
        method text not null check (method in ('historical', 'filtered', 'student_t')),
        as_of timestamptz not null, issued_at timestamptz not null, valid_until timestamptz not null,
        status text not null, reasons text[] not null, required integer, received integer, sufficient_on date,
        var95_log double precision, es95_log double precision,
        var99_log double precision, es99_log double precision,
        sample_days integer not null, tested_windows integer not null,
        exceeded95 integer not null, exceeded99 integer not null,
        data_mode text not null, run_id text, recorded_at timestamptz not null default clock_timestamp(),
        unique (score_id, method),
        check (num_nonnulls(var95_log, es95_log, var99_log, es99_log)
            = case when status in ('ok', 'degraded') then 4 else 0 end),
        check (exceeded95 <= tested_windows and exceeded99 <= tested_windows)
    )"""
_CORRELATION = """
    create table risk.correlation (
        id bigint generated always as identity primary key,
        scope text not null, method text not null check (method in ('ewma', 'ledoit_wolf')),
        regime text not null check (regime in ('all', 'calm', 'normal', 'stressed')),
        as_of timestamptz not null, issued_at timestamptz not null, valid_until timestamptz not null,
        status text not null, reasons text[] not null, required integer, received integer,
        names text[] not null, days integer not null,
        matrix jsonb, measured jsonb, low jsonb, high jsonb,
        common_days jsonb not null, missing_pairs jsonb not null,
        shrinkage double precision check (shrinkage between 0 and 1),
        first_eigenvalue_share double precision check (first_eigenvalue_share between 0 and 1.000001),
        change_30d_mean double precision, change_30d_largest double precision, change_30d_pair text[],
        data_mode text not null, run_id text, recorded_at timestamptz not null default clock_timestamp(),
        unique (scope, method, regime, as_of),
        check ((status in ('ok', 'degraded')) = (matrix is not null))
    )"""
_DESCRIBED = {
    "scores": ("var99",),
    "var": (
        "id", "score_id", "subject", "horizon_days", "method", "as_of", "issued_at", "valid_until", "status", "reasons",
        "required", "received", "sufficient_on", "var95_log", "es95_log", "var99_log", "es99_log", "sample_days",
        "tested_windows", "exceeded95", "exceeded99", "data_mode", "run_id", "recorded_at",
    ),
    "correlation": (
        "id", "scope", "method", "regime", "as_of", "issued_at", "valid_until", "status", "reasons", "required",
        "received", "names", "days", "matrix", "measured", "low", "high", "common_days", "missing_pairs", "shrinkage",
        "first_eigenvalue_share", "change_30d_mean", "change_30d_largest", "change_30d_pair", "data_mode", "run_id",
        "recorded_at",
    ),
}  # fmt: skip


def upgrade() -> None:
    op.execute(_VAR)
    op.execute(_CORRELATION)
    op.execute("create index var_latest on risk.var (subject, horizon_days, method, id desc)")
    append_only({"risk.var": {}, "risk.correlation": {}})
    describe("risk", _DESCRIBED)


def downgrade() -> None:
    raise NotImplementedError("history is never dropped: restore a backup instead")
