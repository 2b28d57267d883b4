"""Liveness, readiness and health: does the process run, can it answer, is what it answers current."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from sqlalchemy.engine import RowMapping

from models.contracts.jobs import ALLOWED_AGE_S, HOURLY_REFRESH, KEEPER, TRAINING
from serving.access.scopes import open_to_all
from serving.dependencies import MarketDep, StoreDep
from serving.errors import PROBLEM_JSON
from serving.ladder import of_all, of_score, standing
from serving.schemas import Health, JobHealth, Live, Market, ProblemDetail, Ready, SeriesHealth

router = APIRouter(tags=["health"], dependencies=[open_to_all()])  # probes have no keys

# Without these nothing is current: one that has never ended is late, not absent.
REQUIRED_JOBS = (HOURLY_REFRESH, TRAINING, KEEPER)

_EXAMPLE_PROBLEM = {
    "type": "urn:ballast:problem:database_unavailable", "title": "Scores cannot be read", "status": 503,
    "detail": "The database does not answer; scores are in it and nowhere else. Try again shortly.",
    "code": "database_unavailable", "instance": "/health", "request_id": "3f0c9b6a3c7e4c0f8f2d8f6f1f0b9e55",
}  # fmt: skip
_UNAVAILABLE: dict[int | str, dict[str, Any]] = {
    503: {
        "model": ProblemDetail,
        "description": "The database cannot be read, or nothing has run against it",
        "content": {PROBLEM_JSON: {"example": _EXAMPLE_PROBLEM}},
    }
}


@router.get("/live")
def live() -> Live:
    """The process answers. Says nothing about data."""
    return Live()


@router.get("/ready", responses=_UNAVAILABLE)
def ready(market: MarketDep) -> Ready:
    """The database answers and holds a market."""
    return Ready(market=market)


def job_health(rows: Sequence[RowMapping], market: Market) -> list[JobHealth]:
    """One entry for each job that has ever run or must have, with its age in market seconds."""
    absent = sorted(set(REQUIRED_JOBS) - {row["job"] for row in rows})
    found = [
        JobHealth(
            job=name, last_success_at=None, age_s=None, allowed_age_s=ALLOWED_AGE_S[name], consecutive_failures=0,
            last_error=None, ok=False,
        )
        for name in absent
    ]  # fmt: skip
    for row in rows:
        last = row["last_success_market_time"]
        age = None if last is None else max(0, int((market.time - last).total_seconds()))
        allowed = ALLOWED_AGE_S.get(row["job"], ALLOWED_AGE_S["hourly_refresh"])
        found.append(
            JobHealth(
                job=row["job"], last_success_at=last, age_s=age, allowed_age_s=allowed,
                consecutive_failures=row["consecutive_failures"], last_error=row["last_error"],
                ok=age is not None and age <= allowed and row["consecutive_failures"] == 0,
            )
        )  # fmt: skip
    return sorted(found, key=lambda job: job.job)


def _why(job: JobHealth) -> str:
    if job.age_s is None and not job.consecutive_failures:
        return f"job {job.job} has never ended"
    age = "no success yet" if job.age_s is None else f"last success {job.age_s} s ago of {job.allowed_age_s} s allowed"
    return f"job {job.job}: {job.consecutive_failures} failures in a row, {age}"


def series_health(rows: Sequence[RowMapping], market: Market) -> list[SeriesHealth]:
    """Age is taken against the clock now, so that a stopped ingester shows within one interval."""
    found = []
    for row in rows:
        newest = row["newest_available_at"]
        age = None if newest is None else max(0, int((market.time - newest).total_seconds()))
        stale = age is None or age > row["max_age_s"]
        found.append(
            SeriesHealth(
                series=row["series"], dataset=row["dataset"], interval=row["interval"], newest_ts=row["newest_ts"],
                age_s=age, max_age_s=row["max_age_s"], stale=stale,
                stalled_by=row["stalled_by"] if stale else None,
                gaps_open=row["gaps_open"], missing_slots_open=row["missing_slots_open"],
            )
        )  # fmt: skip
    return found


@router.get("/health", responses=_UNAVAILABLE)
def health(store: StoreDep, market: MarketDep) -> Health:
    """Jobs with last success, consecutive failures, age and allowed age; series with age, allowed age and gaps; the
    rung on which scores stand."""
    jobs, series = job_health(store.jobs(), market), series_health(store.series(), market)
    reasons = [_why(job) for job in jobs if not job.ok]
    stale = [entry.series for entry in series if entry.stale]
    if stale:
        reasons.append(f"{len(stale)} stale series: {', '.join(stale[:5])}{' ...' if len(stale) > 5 else ''}")
    known = standing(jobs, series, market.time)
    degradation = of_all([of_score(row, market.time, known) for row in store.current(None, None)], known)
    return Health(
        status="degraded" if reasons else "ok", reasons=reasons, market=market, jobs=jobs, series=series,
        degradation=degradation,
    )  # fmt: skip
