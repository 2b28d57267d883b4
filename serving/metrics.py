"""What Prometheus reads of the API: requests as they are counted, and the state of scores, runs and connections as one
bounded set of queries finds it, asked at most every few seconds however often somebody scrapes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from models.contracts.metrics import (
    DATABASE_UP,
    MARKET_INFO,
    MOST_ROWS,
    POOL,
    POOL_LIMIT,
    REQUEST_SECONDS,
    REQUESTS,
    REQUESTS_NOW,
    RUNS_OPEN,
    SCORE_AGE,
    SCORE_DEGRADED,
    SCORE_VALID,
    Metric,
)
from models.contracts.runs import OPEN
from models.runs.bounds import MAX_OPEN
from serving.dependencies import market_of
from serving.store import Store

_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_KEPT_S = 5.0  # scrapes come every 15 s or so; more often than this nothing is asked
_MOST_ROUTES = 500  # of the counters kept at hand
Row = tuple[tuple[str, ...], float]


class RequestMetrics:
    """Counts of requests. The label sets in use are kept at hand: finding them costs more than counting."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(REQUESTS.name, REQUESTS.about, REQUESTS.labels, registry=registry)
        self._seconds = Histogram(
            REQUEST_SECONDS.name, REQUEST_SECONDS.about, REQUEST_SECONDS.labels, registry=registry, buckets=_BUCKETS_S
        )
        self._now = Gauge(REQUESTS_NOW.name, REQUESTS_NOW.about, registry=registry)
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def started(self) -> None:
        self._now.inc()

    def ended(self, method: str, route: str, status: int, seconds: float, is_stream: bool) -> None:
        """One answered request; how long a stream lasted says nothing about how fast it was."""
        self._now.dec()
        key = (method, route, status)
        found = self._known.get(key)
        if found is None:
            found = self._requests.labels(method, route, str(status)), self._seconds.labels(method, route)
            if len(self._known) < _MOST_ROUTES:
                self._known[key] = found
        found[0].inc()
        if not is_stream:
            found[1].observe(seconds)


class StateCollector(Collector):
    """Scores, runs, market and connections. A database that is away is a value of a metric, no failed scrape."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._clock = store, clock
        self._lock = threading.Lock()
        self._kept: tuple[GaugeMetricFamily, ...] = ()
        self._kept_at = float("-inf")

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return ()  # registering must not ask the database

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield from self._connections()
        with self._lock:  # scrapes that come together ask once
            if self._clock() - self._kept_at >= _KEPT_S:
                self._kept, self._kept_at = tuple(self._read()), self._clock()
            kept = self._kept
        yield from kept

    def _read(self) -> list[GaugeMetricFamily]:
        try:
            row, scores = self._store.market(), self._store.current(None, None)
            runs = [run.status for run in self._store.runs.open(MAX_OPEN)]
        except SQLAlchemyError:
            return [family(DATABASE_UP, [((), 0)])]
        found = [
            family(DATABASE_UP, [((), 1)]),
            family(RUNS_OPEN, [((status.value,), sum(run is status for run in runs)) for status in OPEN]),
        ]
        if row is not None:
            market = market_of(row, datetime.now(UTC))
            found.append(family(MARKET_INFO, [((market.name, market.data_mode), 1)]))
            found += _scores(scores, market.time)
        return found

    def _connections(self) -> list[GaugeMetricFamily]:
        pools = self._store.pools()
        used = [((name, "in_use"), float(pool.checkedout())) for name, pool in pools.items()]
        idle = [((name, "idle"), float(pool.checkedin())) for name, pool in pools.items()]
        return [family(POOL, used + idle), family(POOL_LIMIT, [((n,), float(p.size())) for n, p in pools.items()])]


class Exposition:
    """The registry of one application and the page that Prometheus reads."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, store: Store) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # a series for each, which nobody asks for
        self._registry = CollectorRegistry()
        self.requests = RequestMetrics(self._registry)
        self._registry.register(StateCollector(store))
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    def page(self) -> bytes:
        return generate_latest(self._registry)


def family(metric: Metric, rows: Iterable[Row]) -> GaugeMetricFamily:
    """A gauge with its values by label."""
    made = GaugeMetricFamily(metric.name, metric.about, labels=metric.labels)
    for labels, value in rows:
        made.add_metric(labels, value)
    return made


def _scores(rows: Iterable[Mapping[Any, Any]], market_time: datetime) -> list[GaugeMetricFamily]:
    found = [((str(row["subject"]), str(row["horizon_days"])), row) for row in rows][:MOST_ROWS]
    return [
        family(SCORE_AGE, [(key, (market_time - row["as_of"]).total_seconds()) for key, row in found]),
        family(SCORE_VALID, [(key, (row["valid_until"] - market_time).total_seconds()) for key, row in found]),
        family(SCORE_DEGRADED, [(key, float(bool(row["degraded"]))) for key, row in found]),
    ]
