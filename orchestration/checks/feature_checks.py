"""Checks of `features.volatility`: how much is missing, and that no row knew more than its moment allows.

dbt's own tests stand beside these; here is what needs two clocks.
"""

import dagster as dg

from orchestration import keys
from orchestration.resources.features import FEATURES
from orchestration.resources.workspace import Workspace

# Share of a series' last thirty days that may lack a variance before somebody should look: a week of every month.
MAX_SHARE_MISSING = 0.25
_OFFENDERS = 5


@dg.asset_check(asset=keys.VOLATILITY_FEATURES, name="no_future_knowledge", blocking=True)
def no_future_knowledge(context: dg.AssetCheckExecutionContext, workspace: Workspace) -> dg.AssetCheckResult:
    """A row may rest only on what was known at its moment, plus the publication lag of its series."""
    found = workspace.warehouse.read(
        f"select f.series, f.as_of, f.known_at from {FEATURES} f "
        "join (select id, max(publication_lag_s) as lag_s from ops.series group by id) s on s.id = f.series "
        "where f.as_of > (select max(as_of) from features.volatility) - interval '45 days' "
        "and f.known_at > f.as_of + s.lag_s * interval '1 second' order by f.as_of desc"
    )
    first = [f"{r['series']} {r['as_of']}: known {r['known_at']}" for r in found.head(_OFFENDERS).to_dict("records")]
    return dg.AssetCheckResult(passed=found.empty, metadata={"rows": len(found), "offenders": "\n".join(first)})


@dg.asset_check(asset=keys.VOLATILITY_FEATURES, name="share_missing")
def share_missing(context: dg.AssetCheckExecutionContext, workspace: Workspace) -> dg.AssetCheckResult:
    """Share of the last thirty days without a variance, by series that still live. A warning: the model degrades."""
    found = workspace.warehouse.read(
        f"""
        with newest as (select series, max(as_of) as as_of from {FEATURES} group by series)
        select f.series, avg((f.rv is null)::int)::float8 as share
        from {FEATURES} f join newest n using (series)
        where f.is_origin and f.as_of > n.as_of - interval '30 days' group by f.series
        having avg((f.rv is null)::int) > :allowed order by share desc
        """,
        {"allowed": MAX_SHARE_MISSING},
    )
    first = [f"{row['series']}: {row['share']:.0%}" for row in found.head(_OFFENDERS).to_dict("records")]
    return dg.AssetCheckResult(
        passed=found.empty,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"series": len(found), "allowed": MAX_SHARE_MISSING, "offenders": "\n".join(first)},
    )


CHECKS = (no_future_knowledge, share_missing)
