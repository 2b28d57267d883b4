"""Every metric there is, for Prometheus: its name, what it counts, its labels. What is exposed, the dashboards, the
alert rules and docs/observability.md are tested against this list.

Names follow the conventions of Prometheus: base units, `_total` for what only grows. No label is called `job` or
`instance`: those are the scraper's. The values of each label are bounded: routes are templates, and what comes from
tables is cut off at MOST_ROWS.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MOST_ROWS = 200  # label sets of one metric that are read from a table; the first ones in order


class MetricKind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    name: str
    kind: MetricKind
    about: str
    labels: tuple[str, ...] = ()


def _gauge(name: str, about: str, *labels: str) -> Metric:
    return Metric(f"ballast_{name}", MetricKind.GAUGE, about, labels)


def _counter(name: str, about: str, *labels: str) -> Metric:
    return Metric(f"ballast_{name}", MetricKind.COUNTER, about, labels)


# Of both: the API reads them for the scrape, the jobs for the file.
SCORE_AGE = _gauge("score_age_seconds", "market time since the newest score was as of", "subject", "horizon_days")
SCORE_VALID = _gauge(
    "score_valid_seconds", "market time until the newest score expires; negative once it has", "subject", "horizon_days"
)
SCORE_DEGRADED = _gauge(
    "score_degraded", "1 if the newest score rests on less than it should, else 0", "subject", "horizon_days"
)
SCORES = (SCORE_AGE, SCORE_VALID, SCORE_DEGRADED)

REQUESTS = _counter("http_requests_total", "requests answered", "method", "route", "status")
REQUEST_SECONDS = Metric(
    "ballast_http_request_duration_seconds", MetricKind.HISTOGRAM,
    "from the request to the end of its answer; streams are left out", ("method", "route"),
)  # fmt: skip
REQUESTS_NOW = _gauge("http_requests_in_progress", "requests without the end of their answer")
DATABASE_UP = _gauge("database_up", "1 if the API could read its database for this scrape, else 0")
POOL = _gauge("database_connections", "connections of the API's pools", "pool", "state")
POOL_LIMIT = _gauge("database_connections_limit", "most connections of a pool", "pool")
RUNS_OPEN = _gauge("runs_open", "asked-for runs that are not done", "status")
MARKET_INFO = _gauge("market_info", "always 1; what market this is", "market", "data_mode")

API_METRICS = (
    REQUESTS, REQUEST_SECONDS, REQUESTS_NOW, DATABASE_UP, POOL, POOL_LIMIT, RUNS_OPEN, MARKET_INFO, *SCORES,
)  # fmt: skip

WRITTEN = _gauge("metrics_timestamp_seconds", "when the jobs' metrics were read, Unix time")
JOB_RUNS = _counter("job_runs_total", "runs of a job that ended", "job_name", "result")
JOB_SUCCESS = _gauge("job_success_timestamp_seconds", "end of the last success of a job, Unix time", "job_name")
JOB_AGE = _gauge("job_success_age_seconds", "market time since the last success of a job", "job_name")
JOB_ALLOWED = _gauge("job_allowed_age_seconds", "how old that may be", "job_name")
JOB_FAILURES = _gauge("job_failures_in_a_row", "runs of a job that failed since its last success", "job_name")
JOB_SECONDS = _gauge("job_duration_seconds", "how long the last run of a job took", "job_name")
ROWS_ADDED = _counter("ingested_rows_total", "rows that were stored", "dataset")
ROWS_REJECTED = _counter("rejected_rows_total", "rows that could not be stored", "dataset")
GAPS = _gauge("gaps_open", "gaps in series that are not filled", "dataset")
MISSING = _gauge("missing_slots_open", "values missing in them", "dataset")
SERIES = _gauge("series", "watched series by freshness", "dataset", "state")
DECISIONS = _counter("decisions_total", "decisions of the keeper", "vault", "verdict")
DECISION_AGE = _gauge("decision_age_seconds", "market time since the newest decision about a kept vault", "vault")
INTENTS = _gauge("intents", "intents by the state in which they are", "vault", "state")
UNRESOLVED = _gauge("intents_unresolved", "intents whose end is not known, those that need a human included", "vault")
AWAITING = _gauge("intents_awaiting_approval", "intents that nobody may sign before a person says so", "vault")
SWITCH = _gauge("kill_switch", "1 for the position in which the switch of a scope stands", "scope", "mode")
ALERTS_OPEN = _gauge("alerts_open", "alerts that stand", "name", "severity")

JOB_METRICS = (
    WRITTEN, JOB_RUNS, JOB_SUCCESS, JOB_AGE, JOB_ALLOWED, JOB_FAILURES, JOB_SECONDS, ROWS_ADDED, ROWS_REJECTED, GAPS,
    MISSING, SERIES, DECISIONS, DECISION_AGE, INTENTS, UNRESOLVED, AWAITING, SWITCH, ALERTS_OPEN, *SCORES,
)  # fmt: skip
