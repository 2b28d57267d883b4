"""The metrics of the jobs, read from the tables in one bounded set of queries: what stands there, whoever wrote it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from keeper.intent import OPEN, IntentState
from models.contracts import metrics as m
from models.contracts.jobs import ALLOWED_AGE_S
from models.contracts.tables import (
    KEEPER_CONTROL,
    KEEPER_DECISIONS,
    KEEPER_INTENTS,
    OPS_FRESHNESS,
    OPS_GAPS,
    OPS_JOB_RUNS,
    OPS_VAULTS,
    RAW_INGEST_LOG,
    RISK_SCORES,
)
from orchestration.alerts.facts import AWAITS_APPROVAL
from orchestration.alerts.ledger import standing
from orchestration.resources.warehouse import Warehouse

Row = tuple[tuple[str, ...], float]

_JOBS = f"""
    select job, count(*) filter (where ok)::int as ok, count(*) filter (where not ok)::int as failed,
        extract(epoch from max(last_ok)) as succeeded_s,
        (array_agg(market_time order by finished_at desc) filter (where ok))[1] as succeeded_market,
        (count(*) filter (where not ok and (last_ok is null or finished_at > last_ok)))::int as in_a_row,
        (array_agg(extract(epoch from finished_at - started_at) order by finished_at desc))[1] as took_s
    from (select *, max(finished_at) filter (where ok) over (partition by job) as last_ok from {OPS_JOB_RUNS}) as runs
    group by job order by job limit :most"""
_ROWS = f"""
    select dataset, sum(rows_added) as added, sum(rows_rejected) as rejected
    from {RAW_INGEST_LOG} group by dataset order by dataset limit :most"""
_SERIES = f"""
    select f.dataset, count(*) filter (where f.stale)::int as stale, count(*) filter (where not f.stale)::int as fresh,
        coalesce(sum(g.gaps), 0) as gaps, coalesce(sum(g.slots), 0) as slots
    from {OPS_FRESHNESS} as f left join (
        select dataset, series, interval, count(*) as gaps, sum(missing_slots) as slots
        from {OPS_GAPS} where status = 'open' group by dataset, series, interval
    ) as g using (dataset, series, interval)
    group by f.dataset order by f.dataset limit :most"""
# From one (subject, horizon) to the next by the index, as the view of the API: not all history each time.
_SCORES = f"""
    with recursive asked as (
        (select subject, horizon_days from {RISK_SCORES} order by subject, horizon_days limit 1)
        union all
        select following.* from asked cross join lateral (
            select s.subject, s.horizon_days from {RISK_SCORES} as s
            where (s.subject, s.horizon_days) > (asked.subject, asked.horizon_days)
            order by s.subject, s.horizon_days limit 1
        ) as following
    )
    select newest.* from asked cross join lateral (
        select subject, horizon_days, as_of, valid_until, degraded from {RISK_SCORES} as s
        where s.subject = asked.subject and s.horizon_days = asked.horizon_days
        order by issued_at desc, id desc limit 1
    ) as newest order by subject, horizon_days limit :most"""
_DECISIONS = f"""
    select d.vault_id, d.verdict, count(*)::int as n, max(d.market_time) as newest,
        exists (select from {OPS_VAULTS} as v where v.id = d.vault_id and v.is_kept) as is_kept
    from {KEEPER_DECISIONS} as d group by d.vault_id, d.verdict order by d.vault_id, d.verdict limit :most"""
_INTENTS = f"""
    select i.vault_id, i.state, count(*)::int as n,
        (count(*) filter (where {AWAITS_APPROVAL} and i.not_after >= :now))::int as awaiting
    from {KEEPER_INTENTS} as i join {KEEPER_DECISIONS} as d on d.id = i.decision_id
    group by i.vault_id, i.state order by i.vault_id, i.state limit :most"""
_SWITCHES = f"""
    select distinct on (scope) scope, mode from {KEEPER_CONTROL} order by scope, seq desc limit :most"""


@dataclass(frozen=True, slots=True)
class Reading:
    """One metric with its values by label."""

    metric: m.Metric
    rows: tuple[Row, ...]


def read_metrics(tables: Warehouse, wall: datetime) -> list[Reading]:
    """All of JOB_METRICS. Raises DatabaseError."""
    market = tables.clock().now(wall)

    def rows(query: str, **values: Any) -> list[dict[str, Any]]:
        return tables.rows(query, {"most": m.MOST_ROWS, **values})

    return [
        _one(m.WRITTEN, [((), wall.timestamp())]),
        *_jobs(rows(_JOBS), market),
        *_data(rows(_ROWS), rows(_SERIES)),
        *_scores(rows(_SCORES), market),
        *_decisions(rows(_DECISIONS), market),
        *_intents(rows(_INTENTS, now=market)),
        _one(m.SWITCH, [((row["scope"], row["mode"]), 1) for row in rows(_SWITCHES)]),
        _one(m.ALERTS_OPEN, Counter((row["name"], row["severity"]) for row in standing(tables)).items()),
    ]


def _one(metric: m.Metric, rows: Iterable[tuple[tuple[str, ...], Any]]) -> Reading:
    return Reading(metric, tuple((labels, float(value)) for labels, value in rows if value is not None))


def _jobs(found: Sequence[dict[str, Any]], market: datetime) -> list[Reading]:
    ages = [(row["job"], row["succeeded_market"]) for row in found]
    return [
        _one(m.JOB_RUNS, [((row["job"], part), row[part]) for row in found for part in ("ok", "failed")]),
        _one(m.JOB_SUCCESS, [((row["job"],), row["succeeded_s"]) for row in found]),
        _one(m.JOB_AGE, [((job,), (market - moment).total_seconds()) for job, moment in ages if moment is not None]),
        _one(m.JOB_ALLOWED, [((job,), allowed) for job, allowed in sorted(ALLOWED_AGE_S.items())]),
        _one(m.JOB_FAILURES, [((row["job"],), row["in_a_row"]) for row in found]),
        _one(m.JOB_SECONDS, [((row["job"],), row["took_s"]) for row in found]),
    ]


def _data(ingested: Sequence[dict[str, Any]], watched: Sequence[dict[str, Any]]) -> list[Reading]:
    return [
        _one(m.ROWS_ADDED, [((row["dataset"],), row["added"]) for row in ingested]),
        _one(m.ROWS_REJECTED, [((row["dataset"],), row["rejected"]) for row in ingested]),
        _one(m.GAPS, [((row["dataset"],), row["gaps"]) for row in watched]),
        _one(m.MISSING, [((row["dataset"],), row["slots"]) for row in watched]),
        _one(m.SERIES, [((row["dataset"], part), row[part]) for row in watched for part in ("fresh", "stale")]),
    ]


def _scores(found: Sequence[dict[str, Any]], market: datetime) -> list[Reading]:
    keyed = [((row["subject"], str(row["horizon_days"])), row) for row in found]
    return [
        _one(m.SCORE_AGE, [(key, (market - row["as_of"]).total_seconds()) for key, row in keyed]),
        _one(m.SCORE_VALID, [(key, (row["valid_until"] - market).total_seconds()) for key, row in keyed]),
        _one(m.SCORE_DEGRADED, [(key, bool(row["degraded"])) for key, row in keyed]),
    ]


def _decisions(found: Sequence[dict[str, Any]], market: datetime) -> list[Reading]:
    newest: dict[str, datetime] = {}
    for row in (row for row in found if row["is_kept"]):  # of a vault that is kept no more the age would only grow
        newest[row["vault_id"]] = max(row["newest"], newest.get(row["vault_id"], row["newest"]))
    return [
        _one(m.DECISIONS, [((row["vault_id"], row["verdict"]), row["n"]) for row in found]),
        _one(m.DECISION_AGE, [((vault,), (market - moment).total_seconds()) for vault, moment in newest.items()]),
    ]


def _intents(found: Sequence[dict[str, Any]]) -> list[Reading]:
    """Every state of a vault that has intents, so that one that empties goes to zero and does not vanish."""
    counts = {(row["vault_id"], row["state"]): row["n"] for row in found}
    vaults = list(dict.fromkeys(row["vault_id"] for row in found))
    awaiting = Counter(dict.fromkeys(vaults, 0))
    for row in found:
        awaiting[row["vault_id"]] += row["awaiting"]
    return [
        _one(m.INTENTS, [((v, state.value), counts.get((v, state.value), 0)) for v in vaults for state in IntentState]),
        _one(m.UNRESOLVED, [((v,), sum(counts.get((v, state.value), 0) for state in OPEN)) for v in vaults]),
        _one(m.AWAITING, [((vault,), count) for vault, count in awaiting.items()]),
    ]
