"""The code location of Dagster: every asset, check, job, schedule and sensor of one market, in one screen."""

import dagster as dg

from orchestration import dbt
from orchestration.assets import (
    alerting,
    backtests,
    correlations,
    drift,
    evaluation,
    hindsight,
    housekeeping,
    ingest,
    keeping,
    promotion,
    quality,
    regimes,
    scoring,
    stress_tests,
    value_at_risk,
)
from orchestration.checks import (
    feature_checks,
    keeper_checks,
    leak_checks,
    model_checks,
    raw_expectations,
    regime_checks,
    risk_checks,
    score_checks,
)
from orchestration.dbt_command import target_folder
from orchestration.folders import artifacts
from orchestration.jobs import asset_jobs
from orchestration.logs import configure, run_logger
from orchestration.partitions import read_calendar
from orchestration.resources.model_registry import ModelRegistry
from orchestration.resources.vault_chain import VaultChain
from orchestration.resources.workspace import Workspace
from orchestration.schedules import schedules
from orchestration.sensors import sensors
from orchestration.settings import Settings, current_settings


def build_definitions(settings: Settings) -> dg.Definitions:
    """Definitions for these settings. Needs the dbt manifest of the workspace, no database.

    Raises DbtError when the manifest was never written.
    """
    calendar, target = read_calendar(settings), target_folder(settings)
    return dg.Definitions(
        assets=[
            *ingest.raw_assets(calendar),
            quality.quality,
            *dbt.dbt_definitions(target),
            evaluation.walk_forward_forecasts,
            promotion.promotions,
            scoring.scores,
            scoring.target_allocations,
            regimes.regimes,
            value_at_risk.var,
            correlations.correlation,
            stress_tests.stress,
            backtests.policy_backtests,
            drift.drift_calibrations,
            drift.drift_alarms,
            keeping.keeper_decisions,
            keeping.vault_snapshots,
            hindsight.regret,
            hindsight.parity,
        ],
        asset_checks=[
            *raw_expectations.raw_checks(),
            *feature_checks.CHECKS,
            *model_checks.CHECKS,
            *leak_checks.CHECKS,
            *score_checks.CHECKS,
            *regime_checks.CHECKS,
            *risk_checks.CHECKS,
            *keeper_checks.CHECKS,
        ],
        jobs=[
            *asset_jobs(dbt.hourly_selection(target), dbt.deploy_selection(target), settings.steps),
            keeping.keeper_reconcile,
            alerting.alerts,
            housekeeping.housekeeping,
            backtests.requested_runs,
        ],
        schedules=schedules(settings, calendar),
        sensors=sensors(settings),
        resources={
            "workspace": Workspace.of(settings),
            "registry": ModelRegistry.of(artifacts(settings)),
            "chain": VaultChain.of(settings),
            "dbt": dbt.dbt_resource(),
        },
        loggers={"console": run_logger(settings)},
        executor=dg.in_process_executor,
    )


@dg.definitions
def definitions() -> dg.Definitions:
    """What the code server loads: the settings of its process."""
    settings = current_settings()
    configure(settings)
    return build_definitions(settings)
