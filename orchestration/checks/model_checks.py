"""Checks of what training produced: numbers are numbers, the gate was asked, probabilities mean what they say."""

import dagster as dg

from models.contracts.tables import ML_EVALUATIONS, ML_PROMOTIONS, ML_WALK_FORWARD
from orchestration import keys
from orchestration.resources.workspace import Workspace

# Expected calibration error of the spike probability. The reference reaches 0.007 to 0.029; above 0.05 a promised
# 10 % may be 5 or 15, and a score of 50 means nothing.
MAX_CALIBRATION_ERROR = 0.05
_OFFENDERS = 5


@dg.asset_check(asset=keys.WALK_FORWARD, name="finite", blocking=True)
def finite(context: dg.AssetCheckExecutionContext, workspace: Workspace) -> dg.AssetCheckResult:
    """Every stored forecast is a positive, finite variance, and every probability lies in 0 to 1."""
    found = workspace.warehouse.read(
        f"select model, series, origin from {ML_WALK_FORWARD} where not (rv_forecast > 0 and "
        "rv_forecast < 'infinity'::float8) or not coalesce(p_spike between 0 and 1, true) limit 1000"
    )
    first = [f"{r['model']} {r['series']} {r['origin']}" for r in found.head(_OFFENDERS).to_dict("records")]
    return dg.AssetCheckResult(passed=found.empty, metadata={"rows": len(found), "offenders": "\n".join(first)})


@dg.asset_check(asset=keys.PROMOTIONS, name="gate_was_asked", blocking=True)
def gate_was_asked(context: dg.AssetCheckExecutionContext, workspace: Workspace) -> dg.AssetCheckResult:
    """Each serving model rests on a stored evaluation, and one that is no baseline says why it may serve."""
    found = workspace.warehouse.read(
        f"""
        with serving as (
            select distinct on (model_name) model_name, model_version, evidence ->> 'evaluation_id' as evaluation_id,
                reason
            from {ML_PROMOTIONS} order by model_name, id desc
        )
        select model_name, model_version from serving s
        where reason = '' or not exists (select from {ML_EVALUATIONS} e where e.evaluation_id = s.evaluation_id)
        """
    )
    first = [f"{r['model_name']} {r['model_version']}" for r in found.head(_OFFENDERS).to_dict("records")]
    return dg.AssetCheckResult(passed=found.empty, metadata={"models": len(found), "offenders": "\n".join(first)})


@dg.asset_check(asset=keys.PROMOTIONS, name="calibration")
def calibration(context: dg.AssetCheckExecutionContext, workspace: Workspace) -> dg.AssetCheckResult:
    """Spike probabilities of serving models against what happened, out of sample. A warning: the score is relative."""
    found = workspace.warehouse.read(
        f"""
        with serving as (
            select distinct on (model_name) model_name, algorithm, evidence ->> 'evaluation_id' as evaluation_id
            from {ML_PROMOTIONS} order by model_name, id desc
        )
        select s.model_name, e.spike_ece from serving s join {ML_EVALUATIONS} e
            on e.evaluation_id = s.evaluation_id and e.model = s.algorithm and e.series = '*'
        where e.spike_ece > :allowed order by e.spike_ece desc
        """,
        {"allowed": MAX_CALIBRATION_ERROR},
    )
    first = [f"{r['model_name']}: {r['spike_ece']:.3f}" for r in found.head(_OFFENDERS).to_dict("records")]
    return dg.AssetCheckResult(
        passed=found.empty,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"models": len(found), "allowed": MAX_CALIBRATION_ERROR, "offenders": "\n".join(first)},
    )


CHECKS = (finite, gate_was_asked, calibration)
