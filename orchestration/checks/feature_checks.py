"""Checks of `features.volatility`: how much is missing, and that no row knew more than its moment allows.

dbt's own tests stand beside these; here is what needs two clocks.
"""

import dagster as dg
import pandas as pd

from models.contracts.market import DataMode
from models.contracts.tables import OPS_SERIES
from orchestration import keys
from orchestration.resources.features import FEATURES
from orchestration.resources.workspace import Workspace
from orchestration.sources.provider import LIVE_WITHIN

# Share of a series' last thirty days that may lack a variance before somebody should look: a week of every month.
MAX_SHARE_MISSING = 0.25
_RECENT = "45 days"  # of features that a tick looks at; `ballast leaks` looks at all of them
_OFFENDERS = 5


@dg.asset_check(asset=keys.VOLATILITY_FEATURES, name="no_future_knowledge", blocking=True)
def no_future_knowledge(context: dg.AssetCheckExecutionContext, workspace: Workspace) -> dg.AssetCheckResult:
    """A row may rest only on what was known at its moment.

    Two things may come later: a series that is published some time after its slot has closed, and a live row that
    was followed late. The latter is dated by its arrival for `LIVE_WITHIN`, by its publication after that.
    """
    found = known_late(workspace, _RECENT)
    first = [f"{r['series']} {r['as_of']}: known {r['known_at']}" for r in found.head(_OFFENDERS).to_dict("records")]
    return dg.AssetCheckResult(passed=found.empty, metadata={"rows": len(found), "offenders": "\n".join(first)})


def known_late(workspace: Workspace, within: str | None = None) -> pd.DataFrame:
    """Rows (`series`, `as_of`, `known_at`) known later than their moment allows, the newest first.

    Parameters
    ----------
    within : interval before the newest row that is looked at; None = the whole history
    """
    late = LIVE_WITHIN.total_seconds() if workspace.mode is DataMode.LIVE else 0.0
    return workspace.warehouse.read(
        f"""
        with allowed as (
            select id, max(publication_lag_s - case interval when '1h' then 3600 else 86400 end) as beyond_s
            from {OPS_SERIES}
            where (dataset = 'candles' and interval = '1h') or (dataset = 'fx_rates' and interval = '1d')
            group by id
        )
        select f.series, f.as_of, f.known_at from {FEATURES} f join allowed a on a.id = f.series
        where f.as_of > coalesce(
                (select max(as_of) from {FEATURES}) - cast(:within as interval), '-infinity'::timestamptz
            )
            and f.known_at > f.as_of + (greatest(a.beyond_s, 0) + :late) * interval '1 second'
        order by f.as_of desc
        """,
        {"late": late, "within": within},
    )


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
