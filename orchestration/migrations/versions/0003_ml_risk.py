"""Forecasts, evaluations, the promotion ledger, scores and targets: all append-only."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("create schema ml")
    op.execute("create schema risk")
    # Out-of-sample walk-forward forecasts: what each model would have said at each origin.
    op.execute("""
        create table ml.walk_forward (
            evaluation_id text not null, model text not null, series text not null, horizon_days integer not null,
            origin date not null, issued_at timestamptz not null, rv_forecast double precision not null,
            realised double precision, p_spike double precision, score double precision,
            var99 double precision, es99 double precision, recorded_at timestamptz not null default clock_timestamp(),
            primary key (evaluation_id, model, series, horizon_days, origin)
        )""")
    op.execute("""
        create table ml.evaluations (
            id bigint generated always as identity primary key,
            evaluation_id text not null, panel text not null, horizon_days integer not null,
            model text not null, series text not null, rows integer not null,
            qlike double precision, qlike_uncapped double precision, ratio_to_best_baseline double precision,
            dm_p_value double precision, spike_auc double precision, spike_brier_skill double precision,
            spike_ece double precision, var99_rate double precision,
            data_hash text not null, code_hash text not null, data_mode text not null, mlflow_run_id text,
            recorded_at timestamptz not null default clock_timestamp(),
            unique (evaluation_id, horizon_days, model, series)
        )""")
    op.execute("""
        create table ml.promotions (
            id bigint generated always as identity primary key,
            panel text not null, horizon_days integer not null, model_name text not null, model_version text not null,
            algorithm text not null, replaced_version text, reason text not null, evidence jsonb not null,
            promoted_by text not null, promoted_at timestamptz not null, run_id text,
            recorded_at timestamptz not null default clock_timestamp()
        )""")
    op.execute("""
        create table ml.predictions (
            series text not null, horizon_days integer not null, as_of timestamptz not null,
            issued_at timestamptz not null, model_name text not null, model_version text not null,
            rv_forecast double precision not null, p_spike double precision, score double precision,
            var99 double precision, es99 double precision, data_mode text not null, run_id text,
            recorded_at timestamptz not null default clock_timestamp(),
            primary key (series, horizon_days, as_of, model_name, model_version)
        )""")
    op.execute("""
        create table risk.scores (
            id bigint generated always as identity primary key,
            subject text not null, subject_kind text not null check (subject_kind in ('series', 'vault')),
            horizon_days integer not null, as_of timestamptz not null, issued_at timestamptz not null,
            valid_until timestamptz not null, status text not null, reasons text[] not null,
            score double precision check (score between 0 and 100), p_spike double precision check (p_spike between 0 and 1),
            rv_forecast double precision check (rv_forecast > 0), sigma_ann double precision,
            var99 double precision, es99 double precision,
            model_name text not null, model_version text not null, data_mode text not null,
            share_imputed double precision not null, share_stale double precision not null,
            degraded boolean not null, drivers jsonb not null, run_id text,
            recorded_at timestamptz not null default clock_timestamp(),
            unique (subject, horizon_days, as_of, model_version, status),
            check (status in ('ok', 'degraded') or score is null)
        )""")
    op.execute("create index scores_latest on risk.scores (subject, horizon_days, issued_at desc)")
    op.execute("""
        create table risk.target_allocations (
            id bigint generated always as identity primary key,
            vault_id text not null, as_of timestamptz not null, issued_at timestamptz not null,
            valid_until timestamptz not null, state text not null check (state in ('risk_on', 'risk_off')),
            weights jsonb not null, score double precision, score_id bigint references risk.scores (id),
            model_version text not null, policy_version text not null, reasons text[] not null,
            data_mode text not null, share_imputed double precision not null, degraded boolean not null, run_id text,
            recorded_at timestamptz not null default clock_timestamp(),
            unique (vault_id, policy_version, as_of)
        )""")
    op.execute("create index targets_latest on risk.target_allocations (vault_id, as_of desc)")
    for table in ("ml.walk_forward", "ml.evaluations", "ml.promotions", "ml.predictions", "risk.scores",
                  "risk.target_allocations"):  # fmt: skip
        op.execute(
            f"create trigger append_only before update or delete on {table} "
            "for each row execute function raw.refuse_change()"
        )


def downgrade() -> None:
    raise NotImplementedError("history is never dropped: restore a backup instead")
