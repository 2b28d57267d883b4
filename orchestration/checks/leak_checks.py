"""The leak sentinel as blocking checks: on what was evaluated before it may be promoted, on what was issued.

What a probe does is `models.validation.leaks`; the verdict on an evaluation is kept by `orchestration.leak_verdicts`,
where promotion asks for it again: a blocking check stops its own run only.
"""

import dagster as dg
import pandas as pd

from models.contracts.tables import ML_EVALUATIONS
from orchestration import keys
from orchestration.assets.evaluation import is_stored, works
from orchestration.assets.quality import markdown
from orchestration.leak_verdicts import Verdict, issued_too_early, judge, offenders_of, verdict
from orchestration.resources.workspace import Workspace

_NEWEST = f"""
select distinct on (panel, horizon_days) evaluation_id from {ML_EVALUATIONS} order by panel, horizon_days, id desc
"""


@dg.asset_check(asset=keys.WALK_FORWARD, name="no_leak", blocking=True)
def no_leak(context: dg.AssetCheckExecutionContext, workspace: Workspace) -> dg.AssetCheckResult:
    """Nothing that the newest evaluations rest on looks ahead: features, thresholds, training rows, forecasts.

    Each evaluation is judged once, on a sample drawn from its identity; seconds a panel and horizon.
    """
    found = newest_verdicts(workspace)
    lines = [
        {
            "evaluation": said.evaluation_id,
            "verdict": "clean" if said.passed and said.probed else "not probed" if said.passed else "leak",
            "probes": len(said.findings),
            "comparisons": said.cases,
            "first offender": said.offenders[0] if said.offenders else "",
        }
        for said in found
    ]
    offenders = [f"{said.evaluation_id}: {first}" for said in found for first in said.offenders]
    return dg.AssetCheckResult(
        passed=all(said.passed for said in found),
        metadata={
            "evaluations": len(found),
            "comparisons": sum(said.cases for said in found),
            "leaks": sum(finding.leaks for said in found for finding in said.findings),
            "offenders": "\n".join(offenders[:5]),
            "verdicts": dg.MetadataValue.md(markdown(pd.DataFrame(lines))),
        },
    )


@dg.asset_check(asset=keys.SCORES, name="known_when_issued", blocking=True)
def known_when_issued(context: dg.AssetCheckExecutionContext, workspace: Workspace) -> dg.AssetCheckResult:
    """Scores and predictions of the newest issue rest on rows and models that were known when they were issued."""
    found = issued_too_early(workspace)
    return dg.AssetCheckResult(
        passed=not any(finding.leaks for finding in found),
        metadata={
            "rows": sum(finding.cases for finding in found),
            "leaks": sum(finding.leaks for finding in found),
            "offenders": offenders_of(found),
        },
    )


def newest_verdicts(workspace: Workspace) -> list[Verdict]:
    """Verdicts on the newest evaluation of each panel and horizon; rows are read only where one is missing."""
    newest = [row["evaluation_id"] for row in workspace.warehouse.rows(_NEWEST)]
    stored = [verdict(workspace, evaluation) for evaluation in newest]
    if all(said is not None for said in stored):
        return [said for said in stored if said is not None]
    return judge(workspace, *(work for work in works(workspace) if is_stored(workspace, work.id)))


CHECKS = (no_leak, known_when_issued)
