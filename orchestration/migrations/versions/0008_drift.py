"""Drift: what the detectors hold for usual, and the alarms they raised. Both are append-only."""

from __future__ import annotations

from alembic import op

from orchestration.migrations.append_only import append_only

revision = "0008"
down_revision = "0007"

_CALIBRATIONS = """
    create table ml.drift_calibrations (
        id bigint generated always as identity primary key,
        subject text not null, kind text not null, calibrated_at timestamptz not null,
        history_start timestamptz not null, history_end timestamptz not null,
        per_quarter double precision not null check (per_quarter > 0), threshold double precision,
        document jsonb not null, data_mode text not null, run_id text,
        recorded_at timestamptz not null default clock_timestamp(),
        unique (subject, kind, history_start, history_end, per_quarter)
    )"""
_ALARMS = """
    create table ml.drift_alarms (
        id bigint generated always as identity primary key,
        subject text not null, kind text not null, detected_at timestamptz not null,
        statistic double precision not null, threshold double precision not null,
        per_quarter double precision not null check (per_quarter > 0),
        window_start timestamptz not null, window_end timestamptz not null,
        evidence jsonb not null, data_mode text not null, run_id text,
        recorded_at timestamptz not null default clock_timestamp(),
        unique (subject, kind, detected_at)
    )"""

_SUBJECT = "What it is about: series id, or `<series>/<days>d` for forecasts of one horizon."
_RATE = "False alarms to be expected a quarter in quiet data, by the own history of the subject (count)."
_MODE = "Market mode: `simulated`, `replay` or `live`."
_RUN = "Run that wrote it (Dagster run id)."
_RECORDED = "When the database stored it (wall time, UTC)."
_WORDS = {
    "ml.drift_calibrations": {
        "": "One row per subject, kind and history: what a drift detector holds for usual. The newest one is in force.",
        "id": "Identity of the row (number).",
        "subject": _SUBJECT,
        "kind": "Detector: `volatility`, `volatility_unexplained`, `residual`, `feed`.",
        "calibrated_at": "Market time of the calibration (UTC).",
        "history_start": "Oldest row of the history (UTC).",
        "history_end": "Newest row of the history (UTC).",
        "per_quarter": _RATE,
        "threshold": "Threshold of the statistic (its own unit); null where a detector has one for each of its checks.",
        "document": "The detector (JSON object), as its code reads it back.",
        "data_mode": _MODE,
        "run_id": _RUN,
        "recorded_at": _RECORDED,
    },
    "ml.drift_alarms": {
        "": "One row per subject, kind and moment: an alarm, and what it rests on. What was said stays said.",
        "id": "Identity of the row (number).",
        "subject": _SUBJECT,
        "kind": "What drifted: `volatility`, `volatility_unexplained` (beyond volume and other coins), `residual`, `feed_scale`, "
        "`feed_stale`, `feed_schema`, `data`, `prediction`, `calibration`, `performance`; or a single odd bar: "
        "`market_anomaly`, `data_anomaly`.",
        "detected_at": "When the data that raised it was known (market time, UTC); of a silence, when a row was due.",
        "statistic": "How far it stood (unit of the kind; compare with `threshold`).",
        "threshold": "Above this it is an alarm (unit of the kind).",
        "per_quarter": _RATE,
        "window_start": "Oldest data it speaks of (UTC).",
        "window_end": "Newest data it speaks of (UTC).",
        "evidence": "Which check, column or feature, and the values seen (JSON object).",
        "data_mode": _MODE,
        "run_id": _RUN,
        "recorded_at": _RECORDED,
    },
}


def upgrade() -> None:
    op.execute(_CALIBRATIONS)
    op.execute(_ALARMS)
    op.execute("create index drift_calibrations_newest on ml.drift_calibrations (subject, kind, history_end desc)")
    append_only(_WORDS, "insert, update")


def downgrade() -> None:
    raise NotImplementedError("history is never dropped: restore a backup instead")
