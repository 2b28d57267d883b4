"""Checks of `risk.scores`: in range, explained in full, fresh, and no jump that the data cannot explain."""

import dagster as dg

from models.contracts.tables import OPS_FRESHNESS, OPS_SERIES, RISK_SCORES
from orchestration import keys
from orchestration.resources.workspace import Workspace

# Points of score within a day. A calm market that turns moves 30 to 60; from one hour to the next half of that.
MAX_JUMP = 60.0
# Sum of the drivers against ln of the forecast: both are sums of doubles of size ten or less.
MAX_ATTRIBUTION_ERROR = 1e-6
_OFFENDERS = 5


@dg.asset_check(asset=keys.SCORES, name="in_range", blocking=True)
def in_range(context: dg.AssetCheckExecutionContext, workspace: Workspace) -> dg.AssetCheckResult:
    """Only ok and degraded scores carry numbers, and all of them: score 0-100, p 0-1, a positive variance."""
    found = workspace.warehouse.read(
        f"""
        select subject, horizon_days, as_of, status from {RISK_SCORES}
        where issued_at > (select max(issued_at) from {RISK_SCORES}) - interval '1 day' and case
            when status in ('ok', 'degraded') then not coalesce(
                score between 0 and 100 and p_spike between 0 and 1 and rv_forecast > 0
                and rv_forecast < 'infinity'::float8, false)
            else score is not null or p_spike is not null end
        limit 1000
        """
    )
    first = [f"{r['subject']} {r['horizon_days']} d {r['as_of']}" for r in found.head(_OFFENDERS).to_dict("records")]
    return dg.AssetCheckResult(passed=found.empty, metadata={"rows": len(found), "offenders": "\n".join(first)})


@dg.asset_check(asset=keys.SCORES, name="attributed", blocking=True)
def attributed(context: dg.AssetCheckExecutionContext, workspace: Workspace) -> dg.AssetCheckResult:
    """Every score with a number says what it is made of: drivers that sum to ln rv_forecast. All of them, not most: a
    number that its own terms do not give is not the model's."""
    found = workspace.warehouse.read(
        f"""
        select subject, horizon_days, as_of, abs(sum - ln(rv_forecast)) as error
        from {RISK_SCORES} cross join lateral (
            select sum((driver ->> 'contribution')::float8) as sum from jsonb_array_elements(drivers) as driver
        ) as drivers_of
        where issued_at > (select max(issued_at) from {RISK_SCORES}) - interval '1 day' and rv_forecast is not null
        order by coalesce(abs(sum - ln(rv_forecast)), 'infinity') desc, subject, horizon_days, as_of
        """
    )
    wrong = found[~(found["error"] <= MAX_ATTRIBUTION_ERROR)]
    first = [
        f"{r['subject']} {r['horizon_days']} d {r['as_of']}: " + ("no drivers" if r["error"] != r["error"] else
        f"off by {r['error']:.2g}") for r in wrong.head(_OFFENDERS).to_dict("records")
    ]  # fmt: skip
    return dg.AssetCheckResult(
        passed=wrong.empty,
        metadata={
            "scores": len(found),
            "covered_percent": 100.0 if found.empty else 100.0 * (1.0 - len(wrong) / len(found)),
            "offenders": "\n".join(first),
        },
    )


@dg.asset_check(asset=keys.SCORES, name="fresh")
def fresh(context: dg.AssetCheckExecutionContext, workspace: Workspace) -> dg.AssetCheckResult:
    """Subjects whose newest score has expired though their data goes on: scoring fell behind. A warning.

    Where the data itself has ended the score cannot be fresh: `ops.freshness` says so, and so does the API.
    """
    found = workspace.warehouse.read(
        f"""
        with newest as (
            select distinct on (subject) subject, valid_until, share_stale from {RISK_SCORES}
            order by subject, as_of desc, id desc
        ),
        ended as (
            select f.series from {OPS_FRESHNESS} f join {OPS_SERIES} s
                on s.dataset = f.dataset and s.id = f.series and s.interval = f.interval
            where f.stale and s.scored
        )
        select subject, valid_until from newest
        where valid_until < :now and share_stale = 0 and subject not in (select series from ended)
        order by valid_until desc
        """,
        {"now": workspace.now()},
    )
    first = [f"{row['subject']} until {row['valid_until']}" for row in found.head(_OFFENDERS).to_dict("records")]
    return dg.AssetCheckResult(
        passed=found.empty,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"expired": len(found), "offenders": "\n".join(first)},
    )


@dg.asset_check(asset=keys.SCORES, name="jump")
def jump(context: dg.AssetCheckExecutionContext, workspace: Workspace) -> dg.AssetCheckResult:
    """Newest score against the one before it within a day. A warning: a crash looks like this, and so does a bug."""
    found = workspace.warehouse.read(
        f"""
        with ranked as (
            select subject, horizon_days, as_of, score,
                lag(score) over w as before, lag(as_of) over w as before_at, row_number() over (
                    partition by subject, horizon_days order by as_of desc, id desc) as n
            from {RISK_SCORES} where score is not null and as_of > (select max(as_of) from {RISK_SCORES})
                - interval '2 days'
            window w as (partition by subject, horizon_days order by as_of, id)
        )
        select subject, horizon_days, before, score from ranked
        where n = 1 and abs(score - before) > :allowed and as_of - before_at <= interval '1 day'
        """,
        {"allowed": MAX_JUMP},
    )
    first = [
        f"{row['subject']} {row['horizon_days']} d: {row['before']:.0f} to {row['score']:.0f}"
        for row in found.head(_OFFENDERS).to_dict("records")
    ]
    return dg.AssetCheckResult(
        passed=found.empty,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"subjects": len(found), "allowed": MAX_JUMP, "offenders": "\n".join(first)},
    )


CHECKS = (in_range, attributed, fresh, jump)
