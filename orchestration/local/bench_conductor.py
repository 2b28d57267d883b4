"""The stages of the bench in the order in which each finds what it needs: one child process a measurement.

What a measurement does inside its process is `orchestration.bench`. This process imports little: the peak memory of a
child is never less than what its parent holds.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from models.access.keys import ID_BYTES, SECRET_BYTES, Scope, written
from models.contracts.jobs import HOURLY_REFRESH
from orchestration.access import api_keys
from orchestration.bench import http_load
from orchestration.bench.champions import promoted_champions
from orchestration.bench.document import (
    API,
    BACKTESTS,
    FEW_SERIES,
    FORECASTS,
    FRESH,
    INGEST,
    MANY_PATHS,
    MANY_SERIES,
    NEWEST_TENTH,
    PLAY,
    SIGNING,
    SIMULATIONS,
    SOAK,
    STRESS,
    TICKS_1X,
    TICKS_10X,
)
from orchestration.bench.figures import figure, ratio, rounded, series
from orchestration.bench.market_time import advance
from orchestration.local import measured
from orchestration.local.bench_stages import Stage
from orchestration.local.database import Databases, create_databases, workspace_databases
from orchestration.local.environment import library_environment
from orchestration.local.health import is_ready
from orchestration.local.services import Service, service_table
from orchestration.resources.database_url import with_database
from orchestration.settings import Settings, parse_market

_START_TIMEOUT_S = 60.0
_POLL_S = 0.1
_BALLAST = (sys.executable, "-m", "orchestration.local.cli")
_SOAK_RATE, _SOAK_PARTS = 200, 10  # requests a second; parts, between which memory is read
_HTTP_SEED = 1_000_000  # those in process begin at zero
_NEWEST = 0.1  # share of the history that the small workspace holds


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured. `ticks` are taken after one that warms up; 0: that one is all."""

    name: str
    history_days: int | None  # of the simulated market; None: all that it plays
    ingest_rows: int
    ingest_repeats: int
    ticks: int
    fresh_ticks: int
    api_requests: int
    api_seconds: float
    soak_seconds: float
    simulations: int
    few_series: int  # 0: that retraining is left out
    many_series: int
    recorded_days: int
    forecasts: int
    stress_paths: int
    stress_repeats: int
    many_paths: int
    many_steps: int
    backtest_hours: int
    backtest_rules: int
    backtest_repeats: int
    signatures: int


FULL = Size(
    "full", None, 300_000, 3, 5, 3, 200, 5.0, 600.0, 12, few_series=2, many_series=20, recorded_days=6 * 365,
    forecasts=20,
    stress_paths=10_000, stress_repeats=20, many_paths=1_000_000, many_steps=8_760,
    backtest_hours=37_000, backtest_rules=50, backtest_repeats=20, signatures=50,
)  # fmt: skip
QUICK = Size(
    "quick", 760, 20_000, 1, 0, 1, 50, 1.0, 2.0, 2, few_series=0, many_series=2, recorded_days=760, forecasts=1,
    stress_paths=200, stress_repeats=1, many_paths=2_000, many_steps=720,
    backtest_hours=1_000, backtest_rules=2, backtest_repeats=1, signatures=2,
)  # fmt: skip


class Conductor:
    """Scratch workspaces and what is measured in them. `whole` names a state folder that nobody else uses."""

    def __init__(self, whole: Settings, databases: Databases, size: Size) -> None:
        self.size, self.folder = size, whole.state_root
        self.whole, self.databases = whole, databases
        self.environment = _environment(whole, databases)
        # The second workspace: on the same server under a prefix, with the registry of the first.
        prefixed = with_database(databases.ballast, "recent")
        self.recent = replace(whole, state_root=whole.state_root / "recent", database_url=prefixed)
        names = ("recent_simulated", "recent_dagster_simulated", "recent_mlflow_simulated")
        self.recent_databases = Databases(*(with_database(databases.ballast, name) for name in names))
        shared = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_BACKEND_STORE_URI", "NUMBA_CACHE_DIR")
        self.recent_environment = _environment(self.recent, self.recent_databases) | {
            name: self.environment[name] for name in shared
        }
        self._week = ""

    def stages(self) -> tuple[Stage, ...]:
        """The API comes before the clock moves: a tick that fails would let its scores expire."""
        return (
            Stage(INGEST, self._ingest),
            Stage(PLAY, self._play),
            Stage(API, self._api, (PLAY,)),
            Stage(SOAK, self._soak, (PLAY,)),
            Stage(NEWEST_TENTH, self._newest_tenth, (PLAY,)),
            Stage(TICKS_1X, self._ticks_1x, (NEWEST_TENTH,)),
            Stage(TICKS_10X, self._ticks_10x, (PLAY,)),
            Stage(FRESH, self._fresh_ticks, (TICKS_10X,)),
            *self._retrainings(),
            Stage(FORECASTS, self._forecasts, (MANY_SERIES,)),
            Stage(STRESS, self._stress),
            Stage(MANY_PATHS, self._many_paths),
            Stage(BACKTESTS, self._backtests),
            Stage(SIGNING, self._signing),
            Stage(SIMULATIONS, self._simulations, (PLAY,)),  # the last: it adds a vault
        )

    def _retrainings(self) -> Iterator[Stage]:
        for stage, count in ((FEW_SERIES, self.size.few_series), (MANY_SERIES, self.size.many_series)):
            if count:
                yield Stage(stage, partial(self._retraining, stage, count))

    def log(self, stage: str) -> Path:
        """Where the children of a stage write."""
        return self.folder / f"{stage.replace(' ', '-')}.log"

    def _ingest(self) -> dict[str, Any]:
        url = with_database(self.databases.ballast, "bench_ingest")
        create_databases(Databases(url, url, url))
        amount = ("--rows", str(self.size.ingest_rows), "--repeats", str(self.size.ingest_repeats))
        return self._program(INGEST, "ingest", self.environment, url, *amount)

    def _play(self) -> dict[str, Any]:
        ended = measured.run((*_BALLAST, "run"), self.environment, self.log(PLAY))
        return {
            "how": "first play of a fresh workspace, training included",
            "wall_time": figure(ended.seconds, "s"),
            "promoted_champions": figure(promoted_champions(self.databases.ballast), "models"),
            "peak_mb": ended.peak_rss_mb,
        }

    def _newest_tenth(self) -> dict[str, Any]:
        measured.run((*_BALLAST, "migrate"), self.recent_environment, self.log(NEWEST_TENTH))
        part = ("--share", str(_NEWEST), "--champions", self.databases.ballast)
        url = self.recent_databases.ballast
        filled = self._program(NEWEST_TENTH, "recent", self.recent_environment, url, *part)
        promoted_champions(url)
        return filled

    def _ticks_1x(self) -> dict[str, Any]:
        # Half a year is too short for a number (models.volatility.status): forecasts are made, and then not published.
        return self._ticks(TICKS_1X, self.recent_environment, self.recent_databases)

    def _ticks_10x(self) -> dict[str, Any]:
        found = self._ticks(TICKS_10X, self.environment, self.databases, "--numbers")
        self._week = found["week"]
        return found

    def _ticks(self, stage: str, environment: Mapping[str, str], databases: Databases, *more: str) -> dict[str, Any]:
        count = ("--repeats", str(self.size.ticks))
        found = self._program(stage, "ticks", environment, databases.ballast, *count, *more)
        champions = promoted_champions(databases.ballast)
        return {"promoted_champions": figure(champions, "models"), **found}

    def _fresh_ticks(self) -> dict[str, Any]:
        argv = (
            sys.executable, "-m", "dagster", "job", "execute", "-m", "orchestration.definitions", "-j", HOURLY_REFRESH,
            "--tags", json.dumps({"dagster/partition": self._week}),
        )  # fmt: skip
        ended = []
        for _ in range(self.size.fresh_ticks):
            advance(self.databases.ballast)
            ended.append(measured.run(argv, self.environment, self.log(FRESH)))
        return {
            "wall_time": series([one.seconds for one in ended], "s"),
            "peak_mb": max(one.peak_rss_mb for one in ended),
        }

    def _recorded(self, count: int) -> tuple[dict[str, str], Databases]:
        """Environment and databases of a workspace that plays so many recorded coins, on the same server."""
        folder = self.folder / f"recorded{count}"
        folder.mkdir(exist_ok=True)
        url = with_database(self.databases.ballast, f"r{count}")
        market = parse_market(f"replay:{folder}")
        settings = replace(self.whole, market=market, state_root=self.folder / f"played{count}", database_url=url)
        databases = workspace_databases(settings)
        # Compiled once for all workspaces: a retraining is timed, not the compiler.
        compiled = {"NUMBA_CACHE_DIR": self.environment["NUMBA_CACHE_DIR"]}
        return _environment(settings, databases) | compiled, databases

    def _retraining(self, stage: str, count: int) -> dict[str, Any]:
        environment, databases = self._recorded(count)
        amount = ("--series", str(count), "--days", str(self.size.recorded_days))
        where = ("--folder", str(self.folder / f"recorded{count}"))
        self._program(stage, "record", environment, databases.ballast, *where, *amount)
        ended = measured.run((*_BALLAST, "run"), environment, self.log(stage))
        return {
            "series": figure(count, "series"),
            "history": figure(self.size.recorded_days, "days of hourly candles each"),
            "wall_time": figure(ended.seconds, "s"),
            "promoted_champions": figure(promoted_champions(databases.ballast), "models"),
            "peak_mb": ended.peak_rss_mb,
        }

    def _forecasts(self) -> dict[str, Any]:
        environment, databases = self._recorded(self.size.many_series)
        repeats = ("--repeats", str(self.size.forecasts))
        return self._program(FORECASTS, "forecasts", environment, databases.ballast, *repeats)

    def _stress(self) -> dict[str, Any]:
        amount = ("--paths", str(self.size.stress_paths), "--repeats", str(self.size.stress_repeats))
        return self._program(STRESS, "stress", self.environment, self.databases.ballast, *amount)

    def _many_paths(self) -> dict[str, Any]:
        amount = ("--paths", str(self.size.many_paths), "--steps", str(self.size.many_steps))
        found = self._program(MANY_PATHS, "many-paths", self.environment, self.databases.ballast, *amount)
        return {**found, "peak_mb": found["peak_with_the_paths"]["value"]}

    def _backtests(self) -> dict[str, Any]:
        amount = ("--hours", str(self.size.backtest_hours), "--rules", str(self.size.backtest_rules))
        repeats = ("--repeats", str(self.size.backtest_repeats))
        return self._program(BACKTESTS, "backtests", self.environment, self.databases.ballast, *amount, *repeats)

    def _signing(self) -> dict[str, Any]:
        url = with_database(self.databases.ballast, "bench_signing")
        create_databases(Databases(url, url, url))
        return self._program(SIGNING, "signing", self.environment, url, "--repeats", str(self.size.signatures))

    def _api(self) -> dict[str, Any]:
        promoted_champions(self.databases.ballast)
        service = self._api_service()
        argv = tuple("orchestration.bench.bare_app:create_app" if "serving" in a else a for a in service.argv)
        bare = replace(service, argv=argv, probe=http_load.BARE_PATH)
        with self._serving(service, API) as (child, port):
            answer = http_load.scores_of(http_load.get("127.0.0.1", port, http_load.API_PATH))
            slow = self._load(port, http_load.API_PATH)
            peak = child.end().peak_rss_mb
        with self._serving(bare, API) as (_, port):
            fast = self._load(port, http_load.BARE_PATH)
        return {
            "how": "one client, one connection, one request after the other on loopback; one server process each",
            f"GET {http_load.API_PATH}": {**answer, **slow},
            "bare FastAPI route": fast,
            "p50_to_bare": ratio(slow["p50"]["value"], fast["p50"]["value"]),
            "rate_to_bare": ratio(slow["rate"]["value"], fast["rate"]["value"]),
            "peak_mb": peak,
        }

    def _soak(self) -> dict[str, Any]:
        """In ten parts, between which the memory of the server is read."""
        with self._serving(self._api_service(), SOAK) as (child, port):
            http_load.ask("127.0.0.1", port, http_load.API_PATH, requests=self.size.api_requests)  # warms up
            server = psutil.Process(child.process.pid)
            memory = [server.memory_info().rss / 1e6]
            parts, elapsed_s = [], 0.0
            for _ in range(_SOAK_PARTS):
                began = time.perf_counter()
                seconds = self.size.soak_seconds / _SOAK_PARTS
                parts.append(http_load.at_rate("127.0.0.1", port, http_load.API_PATH, _SOAK_RATE, seconds))
                elapsed_s += time.perf_counter() - began
                memory.append(server.memory_info().rss / 1e6)
        return {
            "how": f"GET {http_load.API_PATH} at {_SOAK_RATE} requests/s whether answers come or not; time from when a "
            "request was due, so that waiting counts",
            "requests": figure(sum(map(len, parts)), "requests"),
            # Less than what was due: the server does not keep up, and times say how long its queue is.
            "rate": figure(sum(map(len, parts)) / elapsed_s, "requests/s"),
            **http_load.percentiles([spent for part in parts for spent in part]),
            "p99_of_each_part": [http_load.percentiles(part)["p99"]["value"] for part in parts],
            "memory_at_start": figure(memory[0], "MB"),
            "memory_at_end": figure(memory[-1], "MB"),
            "memory_between": [rounded(one) for one in memory[1:-1]],
        }

    def _simulations(self) -> dict[str, Any]:
        """Each with a seed of its own: a run that is known is not made again."""
        amount = ("--repeats", str(self.size.simulations))
        found = self._program(SIMULATIONS, "simulations", self.environment, self.databases.ballast, *amount)
        body = found.pop("body")
        bodies = [{**body, "seed": _HTTP_SEED + number} for number in range(self.size.simulations + 1)]
        with self._serving(self._api_service(), SIMULATIONS) as (_, port):
            key = _key(self.databases.ballast)
            first, *spent = http_load.post("127.0.0.1", port, http_load.SIMULATE_PATH, bodies, key)
        return {
            "how": f"POST {http_load.SIMULATE_PATH} with a seed of its own each; the first of a process compiles or "
            "loads what is compiled. In process: the same without the server and without storing it",
            "body": body,
            "first_over_http": figure(first, "s"),
            "over_http": {**series(spent, "s"), "max": figure(max(spent), "s")},
            **found,
            "http_to_in_process": ratio(series(spent, "s")["value"], found["in_process"]["value"]),
        }

    def _api_service(self) -> Service:
        return next(item for item in service_table(self.whole) if item.name == "api")

    def _load(self, port: int, path: str) -> dict[str, Any]:
        http_load.ask("127.0.0.1", port, path, requests=self.size.api_requests)  # warms up
        return http_load.report(http_load.ask("127.0.0.1", port, path, seconds=self.size.api_seconds))

    @contextmanager
    def _serving(self, service: Service, stage: str) -> Iterator[tuple[measured.Child, int]]:
        assert service.port is not None
        with measured.child(service.argv, self.environment, self.log(stage)) as child:
            deadline = time.perf_counter() + _START_TIMEOUT_S
            while not is_ready(service):
                if child.process.poll() is not None or time.perf_counter() > deadline:
                    raise measured.ChildFailed(f"the server does not answer: {measured.last_words(child.log)}")
                time.sleep(_POLL_S)
            yield child, service.port

    def _program(
        self, stage: str, what: str, environment: Mapping[str, str], database: str, *arguments: str
    ) -> dict[str, Any]:
        """One program of `orchestration.bench`, and what it found."""
        out = self.folder / "found.json"
        out.unlink(missing_ok=True)
        program = (sys.executable, "-m", "orchestration.bench", what, "--database", database, "--out", str(out))
        measured.run((*program, *arguments), environment, self.log(stage))
        found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        return found


def _key(database: str) -> str:
    """A key of the scratch market that may simulate, for as long as the bench lives."""
    key = written(secrets.token_bytes(ID_BYTES), secrets.token_bytes(SECRET_BYTES))
    engine = create_engine(database, poolclass=NullPool)
    api_keys.create(engine, api_keys.Wanted("bench", [Scope.SIMULATE], 1, 0), key, "bench", datetime.now(UTC))
    return key


def _environment(settings: Settings, databases: Databases) -> dict[str, str]:
    # What the person's own environment says of a server must not reach a child: scratch settings name theirs or none.
    own = {"DATABASE_URL": settings.database_url or "", "BALLAST_SERVING_PUBLIC_PER_MINUTE": "0"}  # one client asks
    return library_environment(settings, databases) | own
