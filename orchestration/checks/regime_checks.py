"""Checks of `risk.regimes`: what is labelled is a distribution, and nobody is without a label unnoticed."""

import dagster as dg

from models.contracts.tables import OPS_SERIES, RISK_REGIME_CHAINS, RISK_REGIMES
from orchestration import keys
from orchestration.resources.workspace import Workspace

SUM_TOLERANCE = 1e-9
_OFFENDERS = 5


@dg.asset_check(asset=keys.REGIMES, name="filtered", blocking=True)
def filtered(context: dg.AssetCheckExecutionContext, workspace: Workspace) -> dg.AssetCheckResult:
    """Labels of the chain rest on probabilities that sum to one, by stored parameters no younger than the day."""
    found = workspace.warehouse.read(
        f"""
        select r.series, r.as_of, r.model_version from {RISK_REGIMES} r
        left join {RISK_REGIME_CHAINS} c on c.series = r.series and c.model_version = r.model_version
        where r.method = 'hmm' and r.label is not null and not coalesce(
            abs(r.p_calm + r.p_normal + r.p_stressed - 1) < :tolerance and c.fitted_at <= r.as_of, false)
        order by r.series, r.as_of limit 1000
        """,
        {"tolerance": SUM_TOLERANCE},
    )
    first = [
        f"{row['series']} {row['as_of']} {row['model_version']}" for row in found.head(_OFFENDERS).to_dict("records")
    ]
    return dg.AssetCheckResult(passed=found.empty, metadata={"rows": len(found), "offenders": "\n".join(first)})


@dg.asset_check(asset=keys.REGIMES, name="labelled")
def labelled(context: dg.AssetCheckExecutionContext, workspace: Workspace) -> dg.AssetCheckResult:
    """Scored series whose newest origin has no regime, with the reason: too few days, a held print, a managed rate.
    A warning."""
    found = workspace.warehouse.read(
        f"""
        with newest as (
            select distinct on (series) series, status, array_to_string(reasons, '; ') as why from {RISK_REGIMES}
            where method = 'hmm' order by series, as_of desc, recorded_at desc
        )
        select distinct s.id, coalesce(n.status, 'none') as status, coalesce(n.why, 'never labelled') as why
        from {OPS_SERIES} s left join newest n on n.series = s.id
        where s.scored and coalesce(n.status, 'none') not in ('ok', 'degraded') order by s.id
        """
    )
    first = [f"{row['id']}: {row['status']}, {row['why']}" for row in found.head(_OFFENDERS).to_dict("records")]
    return dg.AssetCheckResult(
        passed=found.empty,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"series": len(found), "offenders": "\n".join(first)},
    )


CHECKS = (filtered, labelled)
