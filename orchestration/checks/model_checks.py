"""Checks of what training produced: numbers are numbers, the gate was asked, probabilities mean what they say, no
champion has become too old or loses its edge."""

from collections.abc import Sequence
from datetime import datetime

import dagster as dg
import pandas as pd

from models.contracts.market import SeriesKind
from models.contracts.tables import ML_EVALUATIONS, ML_PROMOTIONS, ML_WALK_FORWARD, RISK_SCORES
from models.validation.decay import Watch, watch
from models.validation.evaluation import comparable, panel_losses
from models.validation.expiry import MAX_AGE, is_expired
from models.validation.ledger import Entry, champion_at, in_office_since
from models.volatility.members import BASELINES
from orchestration import keys
from orchestration.assets.evaluation import forecasts_path
from orchestration.assets.quality import markdown
from orchestration.resources.ledger import read_ledger
from orchestration.resources.workspace import Workspace

# Expected calibration error of the spike probability. The reference reaches 0.007 to 0.029; above 0.05 a promised
# 10 % may be 5 or 15, and a score of 50 means nothing.
MAX_CALIBRATION_ERROR = 0.05
_OFFENDERS = 5
_LOSS_COLUMNS = ("model", "series", "as_of", "horizon_days", "realised", "rv_forecast", "managed", "scored")
_SERVING = f"""
    select distinct on (model_name) action, model_name, model_version, panel, algorithm, reason, evidence,
        evidence ->> 'evaluation_id' as evaluation_id
    from {ML_PROMOTIONS} where action in ('promoted', 'rolled_back', 'fell_back')
    order by model_name, promoted_at desc, id desc
"""


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
    """Each serving model rests on a stored evaluation, says why it may serve, and was accepted there if it is no
    baseline; one that stands in for the gate's choice names the trigger."""
    found = workspace.warehouse.read(
        f"""
        with serving as ({_SERVING})
        select model_name, model_version from serving s
        where reason = '' or not exists (select from {ML_EVALUATIONS} e where e.evaluation_id = s.evaluation_id)
            or not (algorithm = any(:baselines) or coalesce((
                select bool_or((g ->> 'accepted')::boolean) from jsonb_array_elements(evidence -> 'gate') g
                where g ->> 'model' = algorithm), false))
            or (action = 'fell_back' and not (algorithm = any(:baselines)
                and coalesce((evidence -> 'fallback' ->> 'triggered')::boolean, false)))
        """,
        {"baselines": sorted(BASELINES)},
    )
    first = [f"{r['model_name']} {r['model_version']}" for r in found.head(_OFFENDERS).to_dict("records")]
    return dg.AssetCheckResult(passed=found.empty, metadata={"models": len(found), "offenders": "\n".join(first)})


@dg.asset_check(asset=keys.PROMOTIONS, name="calibration")
def calibration(context: dg.AssetCheckExecutionContext, workspace: Workspace) -> dg.AssetCheckResult:
    """Spike probabilities of serving models against what happened, out of sample. A warning: the score is relative."""
    found = workspace.warehouse.read(
        f"""
        with serving as ({_SERVING})
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


@dg.asset_check(asset=keys.PROMOTIONS, name="edge_holds")
def edge_holds(context: dg.AssetCheckExecutionContext, workspace: Workspace) -> dg.AssetCheckResult:
    """Whether challengers that serve lose their edge over the best baseline: since they took office, against before. A
    warning: an edge that fades may still be one. What gives way within weeks is decided with each promotion."""
    now = workspace.now()
    with workspace.warehouse.transaction() as connection:
        entries = read_ledger(connection)
    serving = [champion_at(entries, name, now) for name in sorted({entry.model_name for entry in entries})]
    lines = [_edge(workspace, entries, champion, now) for champion in serving if champion is not None]
    fading = [line["model"] for line in lines if line["status"] == "fading"]
    return dg.AssetCheckResult(
        passed=not fading,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "models": len(lines),
            "fading": len(fading),
            "offenders": "\n".join(fading[:_OFFENDERS]),
            "edges": dg.MetadataValue.md(markdown(pd.DataFrame(lines).fillna(""))),
        },
    )


def _edge(workspace: Workspace, entries: Sequence[Entry], champion: Entry, now: datetime) -> dict[str, str]:
    """One line about a champion: its watch in the newest evaluation that it serves by, or why there is none."""
    name, baseline = champion.model_name, str(champion.evidence.get("best_baseline") or "")
    since = in_office_since(entries, name, now) or champion.at
    line = {"model": name, "algorithm": champion.algorithm, "against": baseline, "since": f"{since:%Y-%m-%d}"}
    path = forecasts_path(workspace, str(champion.evidence.get("evaluation_id")))
    if champion.algorithm in BASELINES:
        return {**line, "status": "a baseline serves"}
    if not path.is_file() or not baseline:
        return {**line, "status": "its evaluation is not stored"}
    losses = panel_losses(comparable(pd.read_parquet(path, columns=list(_LOSS_COLUMNS))))
    seen = watch(losses, champion.algorithm, baseline, pd.Timestamp(since), horizon_days=champion.horizon_days)
    return {**line, "status": seen.status, **_told(seen)}


def _told(seen: Watch) -> dict[str, str]:
    share = seen.detector[-1] / seen.boundary[-1] if len(seen.detector) else 0.0
    return {
        "reference": f"{seen.received} dates ({seen.required} needed)",
        "dates since": str(len(seen.detector)),
        "change of QLIKE": f"{seen.drift:+.4f}",
        "of the boundary": f"{share:.2f}",
        "alarm": f"{seen.alarm:%Y-%m-%d}" if seen.alarm is not None else "",
    }


@dg.asset_check(asset=keys.SCORES, name="champions_are_young_enough")
def champions_are_young_enough(context: dg.AssetCheckExecutionContext, workspace: Workspace) -> dg.AssetCheckResult:
    """Champions that score data from further beyond their training data than allowed: training has stopped. A warning,
    looked at with the scores, which then say it too."""
    rows = workspace.warehouse.rows(
        f"select model_name, panel, (evidence ->> 'trained_until')::timestamptz as trained_until, asked_until "
        f"from ({_SERVING}) s join (select model_name, max(as_of) as asked_until from {RISK_SCORES} group by 1) r "
        "using (model_name) where evidence ? 'trained_until' order by model_name"
    )
    old = [row for row in rows if is_expired(SeriesKind(row["panel"]), row["trained_until"], row["asked_until"])]
    first = [
        f"{row['model_name']}: data until {row['trained_until']:%Y-%m-%d}, "
        f"{MAX_AGE[SeriesKind(row['panel'])].degraded.days} days are allowed"
        for row in old[:_OFFENDERS]
    ]
    return dg.AssetCheckResult(
        passed=not old,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"models": len(rows), "expired": len(old), "offenders": "\n".join(first)},
    )


CHECKS = (finite, gate_was_asked, calibration, edge_holds, champions_are_young_enough)
