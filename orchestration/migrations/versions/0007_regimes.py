"""Regimes of each series at each origin, and the parameters they rest on: append-only. Brings its own comments."""

from __future__ import annotations

from alembic import op

from orchestration.migrations.append_only import append_only

revision = "0007"
down_revision = "0006"

_COMMON = {
    "data_mode": "Market mode: `simulated`, `replay` or `live`.",
    "run_id": "Run that wrote it (Dagster run id).",
    "recorded_at": "When the database stored it (wall time, UTC).",
}
_WORDS = {
    "risk.regimes": {
        "": "One row per series, origin, method and version of the parameters: its volatility regime and trend as they could be said on that day (filtered, never smoothed), or the reason why there is no label.",
        "series": "Series id, or `vault:<id>`.",
        "as_of": "Origin: close of the day that is labelled (UTC).",
        "method": "`hmm`: three-state chain on ln variance. `rule`: its twin, the rank of this week's variance in its own last year.",
        "status": "`ok`, `degraded` (a label to trust less), or why there is none: `insufficient_data`, `quarantined` (newest print held), `managed` (rate stood still).",
        "reasons": "Why, in words (list); empty if nothing is to be said.",
        "label": "`calm`, `normal` or `stressed`: entered above 0.6, left below 0.4 (probability); null unless `ok` or `degraded`.",
        "p_calm": "Filtered probability of the calm state (0-1); null without a label and for `rule`.",
        "p_normal": "Filtered probability of the normal state (0-1); null without a label and for `rule`.",
        "p_stressed": "Filtered probability of the stressed state (0-1); null without a label and for `rule`.",
        "trend": "`down`, `flat` or `up`: sign of `trend_strength` beyond 0.5; null where it is null.",
        "trend_strength": "Return of the last month (30 days; 22 of a rate) over what its variance alone would make of it (standard deviations); null with a return missing.",
        "changepoint": "Probability that the level of variance changed within the last week (0-1; 7 days, 5 of a rate); null before 90 observed days.",
        "level_age": "Expected age of the present level of variance (days, today included); null before 90 observed days.",
        "required": "Days needed where `status` is `insufficient_data` (count): 60 in each regime, or those before a first label; else null.",
        "received": "Days there are of them (count): in the rarest regime, or before a first label; else null.",
        "model_version": "Version of the parameters in force (text): of `hmm` the fit in `risk.regime_chains`, `hmm1-none` before the first; of `rule` the rule's own.",
        **_COMMON,
    },
    "risk.regime_chains": {
        "": "One row per fit of a chain: the parameters that `risk.regimes` rests on, frozen until the next fit. A fit that was made stays, also if the history it was made on is corrected later.",
        "series": "Series id, or `vault:<id>`.",
        "fitted_at": "Close of the newest day it was fitted on (UTC); in force from then on.",
        "model_version": "Method, day of the fit and digest of the parameters (text).",
        "parameters": "JSON object: `mean` of ln variance a day by state (calm, normal, stressed), `spread` around it, `move` (probabilities from day to day, row = today), `lowest` and `highest` (bounds of ln variance), `days` it rests on.",
        **_COMMON,
    },
}


def _create() -> None:
    op.execute("""
        create table risk.regime_chains (
            series text not null, fitted_at timestamptz not null, model_version text not null,
            parameters jsonb not null, data_mode text not null, run_id text,
            recorded_at timestamptz not null default clock_timestamp(),
            primary key (series, fitted_at, model_version)
        )""")
    op.execute("""
        create table risk.regimes (
            series text not null, as_of timestamptz not null, method text not null check (method in ('hmm', 'rule')),
            status text not null, reasons text[] not null,
            label text check (label in ('calm', 'normal', 'stressed')),
            p_calm double precision check (p_calm between 0 and 1),
            p_normal double precision check (p_normal between 0 and 1),
            p_stressed double precision check (p_stressed between 0 and 1),
            trend text check (trend in ('down', 'flat', 'up')), trend_strength double precision,
            changepoint double precision check (changepoint between 0 and 1),
            level_age double precision check (level_age > 0),
            required integer, received integer, model_version text not null, data_mode text not null, run_id text,
            recorded_at timestamptz not null default clock_timestamp(),
            primary key (series, method, as_of, model_version),
            check ((label is not null) = (status in ('ok', 'degraded')))
        )""")


def upgrade() -> None:
    _create()
    append_only(_WORDS)


def downgrade() -> None:
    raise NotImplementedError("history is never dropped: restore a backup instead")
