"""Names of the jobs and how old their last success may be, in market seconds. Shared by the scheduler and /health."""

from __future__ import annotations

HOURLY_REFRESH = "hourly_refresh"
TRAINING = "training"
KEEPER = "keeper"
KEEPER_RECONCILE = "keeper_reconcile"
HOUSEKEEPING = "housekeeping"
ALERTS = "alerts"
REQUESTED_RUNS = "requested_runs"  # no beat of the market: nobody has to ask

# Two missed runs are late, one may be a slow run. Reconcile and alerts run every wall minute, in which a clock at 60
# times speed passes a whole market hour: two of them are late.
ALLOWED_AGE_S: dict[str, int] = {
    HOURLY_REFRESH: 2 * 3600 + 900,
    TRAINING: 15 * 86_400,
    KEEPER: 3 * 3600,
    KEEPER_RECONCILE: 2 * 3600,
    HOUSEKEEPING: 3 * 86_400,
    ALERTS: 2 * 3600,
}
