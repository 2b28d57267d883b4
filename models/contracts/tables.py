"""Schema-qualified table names. The asset key of a table is its address: `raw.candles` is `["raw", "candles"]`."""

from __future__ import annotations

RAW_FX_RATES = "raw.fx_rates"
RAW_CANDLES = "raw.candles"
RAW_FUNDING = "raw.funding"
RAW_OPEN_INTEREST = "raw.open_interest"
RAW_VAULT_SNAPSHOTS = "raw.vault_snapshots"
RAW_INGEST_LOG = "raw.ingest_log"
RAW_QUARANTINE = "raw.quarantine"
RAW_QUARANTINE_RELEASES = "raw.quarantine_releases"

OPS_MARKET = "ops.market"
OPS_SERIES = "ops.series"
OPS_GAPS = "ops.gaps"
OPS_GAP_SCANS = "ops.gap_scans"
OPS_FRESHNESS = "ops.freshness"
OPS_RECONCILIATION = "ops.reconciliation"
OPS_JOB_RUNS = "ops.job_runs"
OPS_PROVIDER_STATE = "ops.provider_state"
OPS_WATERMARKS = "ops.watermarks"

ML_WALK_FORWARD = "ml.walk_forward"
ML_EVALUATIONS = "ml.evaluations"
ML_PROMOTIONS = "ml.promotions"
ML_PREDICTIONS = "ml.predictions"
ML_DRIFT_CALIBRATIONS = "ml.drift_calibrations"
ML_DRIFT_ALARMS = "ml.drift_alarms"

RISK_SCORES = "risk.scores"
RISK_TARGET_ALLOCATIONS = "risk.target_allocations"

KEEPER_DECISIONS = "keeper.decisions"
KEEPER_INTENTS = "keeper.intents"
KEEPER_ATTEMPTS = "keeper.attempts"
KEEPER_EVENTS = "keeper.events"
KEEPER_CONTROL = "keeper.control"
