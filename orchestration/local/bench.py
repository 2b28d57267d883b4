"""Conducts the bench: scratch workspaces on a server of their own, one child process a measurement, one document.

What is measured and how is `orchestration.bench`; here is only what must be there for it, and in which order. This
process imports little: the peak memory of a child is never less than what its parent holds.
"""

from __future__ import annotations

import json
import math
import os
import platform
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from models.contracts.jobs import HOURLY_REFRESH
from orchestration.bench import http_load
from orchestration.bench.figures import figure, figures, ratio, series
from orchestration.bench.market_time import advance
from orchestration.local import measured
from orchestration.local.database import Databases, create_databases
from orchestration.local.environment import library_environment
from orchestration.local.health import is_ready
from orchestration.local.progress import Progress
from orchestration.local.services import Service, service_table
from orchestration.local.workspace import opened
from orchestration.resources.database_url import with_database
from orchestration.settings import Settings, parse_market

_START_TIMEOUT_S = 60.0
_POLL_S = 0.1
_BALLAST = (sys.executable, "-m", "orchestration.local.cli")
_NEWEST = 0.1  # share of the history that the small workspace holds
_PORTS = ("dagster_port", "mlflow_port", "api_port", "devnet_port", "code_port")


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured. `ticks` are taken after one that warms up."""

    name: str
    ingest_rows: int
    ingest_repeats: int
    ticks: int
    fresh_ticks: int
    api_requests: int
    api_seconds: float


FULL = Size("full", 300_000, 3, 5, 3, 200, 5.0)
QUICK = Size("quick", 20_000, 1, 1, 1, 50, 1.0)


def bench(settings: Settings, size: Size, progress: Progress) -> dict[str, Any]:
    """Measure everything; returns the document. Nothing of it is left on this machine, also after Ctrl-C.

    Raises DatabaseError when the scratch server does not start and ChildFailed when a measurement fails.
    """
    began, load = time.perf_counter(), os.getloadavg()
    # The server's own account has to pass through the folder, and the files in it are that account's.
    with tempfile.TemporaryDirectory(prefix="ballast-bench-", ignore_cleanup_errors=True) as folder:
        whole = _scratch(settings, Path(folder))
        with opened(whole) as databases:
            conductor = _Conductor(whole, databases, size, progress)
            document = conductor.measure()
    return {
        "bench": size.name,
        "machine": _machine(load),
        "market": f"simulated, seed {settings.seed}",
        **document,
        "whole_bench": figure(time.perf_counter() - began, "s"),
    }


def _scratch(settings: Settings, folder: Path) -> Settings:
    """These settings with a state folder and ports of their own, and a server of their own whatever was set."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in _PORTS]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        ports = {name: probe.getsockname()[1] for name, probe in zip(_PORTS, probes, strict=True)}
    return replace(
        settings,
        market=parse_market("simulated"),
        state_root=folder,
        database_url=None,
        host="127.0.0.1",
        keeper_phase="devnet",
        **ports,
    )


def _machine(load: tuple[float, float, float]) -> dict[str, Any]:
    return {
        "cores": figure(os.cpu_count() or 1, "cores"),
        "memory": figure(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, "GB"),
        "load_before": figure(load[0], "runnable processes, mean of a minute: figures of a busy machine are too slow"),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "dagster": version("dagster"),
        "dbt": version("dbt-core"),
    }


class _Conductor:
    """The measurements in the order in which each finds what it needs."""

    def __init__(self, whole: Settings, databases: Databases, size: Size, progress: Progress) -> None:
        self.size, self.progress, self.folder = size, progress, whole.state_root
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

    def measure(self) -> dict[str, Any]:
        ingest = self._ingest()
        play = self._run("play", (*_BALLAST, "run"), self.environment)
        self._run("prepare the newest tenth", (*_BALLAST, "migrate"), self.recent_environment)
        part = ("--share", str(_NEWEST), "--champions", self.databases.ballast)
        filled = self._program("recent", self.recent_environment, self.recent_databases.ballast, *part)
        tenth = self._ticks(self.recent_environment, self.recent_databases, "newest tenth")
        whole = self._ticks(self.environment, self.databases, "whole history")
        fresh = self._fresh_ticks(str(whole["week"]))
        api, api_peak_mb = self._api_or_why_not()
        in_process = whole["wall_time"]["value"]
        fresh_wall = series([ended.seconds for ended in fresh], "s")
        return {
            "ingest": ingest,
            "hourly_tick": {
                "how": "hourly_refresh in one process, the market's clock an hour later each time, one to warm up. "
                "The newest tenth of the same market is a workspace of its own and scores with the same registered "
                "champions, which were trained once on the whole history",
                "promoted_champions": figure(filled["promotions"], "models"),
                "newest_tenth": tenth,
                "whole_history": whole,
                "whole_history_to_newest_tenth": ratio(in_process, tenth["wall_time"]["value"]),
            },
            "orchestration_overhead": {
                "how": "whole history. Bodies are timed inside the ticks above; a fresh process imports, loads the "
                "definitions and runs the same job, as the launcher of the daemon does",
                "tick_in_process": figure(in_process, "s"),
                "sum_of_bodies": figure(whole["sum_of_bodies"]["value"], "s"),
                "in_process_to_bodies": ratio(in_process, whole["sum_of_bodies"]["value"]),
                "tick_in_a_fresh_process": fresh_wall,
                "fresh_process_to_in_process": ratio(fresh_wall["value"], in_process),
            },
            "peak_memory": {
                "how": "resident set of the largest single process of each command, as the kernel counts it",
                **figures(
                    {
                        "play": play.peak_rss_mb,
                        "tick_in_a_fresh_process": max(ended.peak_rss_mb for ended in fresh),
                        f"api_under_{self.size.api_requests}_requests": api_peak_mb,
                    },
                    "MB",
                ),
            },
            "play": {
                "how": "first play of a fresh workspace, training included",
                "wall_time": figure(play.seconds, "s"),
            },
            "api": api,
        }

    def _ingest(self) -> dict[str, Any]:
        url = with_database(self.databases.ballast, "bench_ingest")
        create_databases(Databases(url, url, url))
        return self._program("ingest", self.environment, url, "--rows", str(self.size.ingest_rows),
                             "--repeats", str(self.size.ingest_repeats))  # fmt: skip

    def _ticks(self, environment: Mapping[str, str], databases: Databases, title: str) -> dict[str, Any]:
        return self._program("ticks", environment, databases.ballast, "--repeats", str(self.size.ticks), title=title)

    def _fresh_ticks(self, week: str) -> list[measured.Ended]:
        argv = (
            sys.executable, "-m", "dagster", "job", "execute", "-m", "orchestration.definitions", "-j", HOURLY_REFRESH,
            "--tags", json.dumps({"dagster/partition": week}),
        )  # fmt: skip
        ended = []
        for number in range(self.size.fresh_ticks):
            advance(self.databases.ballast)
            ended.append(self._run(f"tick in a fresh process {number + 1}", argv, self.environment))
        return ended

    def _api_or_why_not(self) -> tuple[dict[str, Any], float]:
        """An API without an answer is told in the document: the minutes that were measured before stay worth it."""
        try:
            return self._api()
        except http_load.LoadError as error:
            return {"not_measured": str(error)}, math.nan

    def _api(self) -> tuple[dict[str, Any], float]:
        service = next(item for item in service_table(self.whole) if item.name == "api")
        argv = tuple("orchestration.bench.bare_app:create_app" if "serving" in a else a for a in service.argv)
        bare = replace(service, argv=argv, probe=http_load.BARE_PATH)
        with self._stage("API memory"), self._serving(service) as (child, port):
            http_load.ask("127.0.0.1", port, http_load.API_PATH, requests=self.size.api_requests)
            peak = child.end().peak_rss_mb
        answers = {}
        for name, served, path in (("risk_current", service, http_load.API_PATH), ("bare", bare, http_load.BARE_PATH)):
            with self._stage(f"API {name}"), self._serving(served) as (_, port):
                http_load.ask("127.0.0.1", port, path, requests=self.size.api_requests)  # warms up
                answers[name] = http_load.report(http_load.ask("127.0.0.1", port, path, seconds=self.size.api_seconds))
        slow, fast = answers["risk_current"], answers["bare"]
        return {
            "how": "one client, one connection, one request after the other on loopback; one server process each",
            f"GET {http_load.API_PATH}": slow,
            "bare FastAPI route": fast,
            "p50_to_bare": ratio(slow["p50"]["value"], fast["p50"]["value"]),
        }, peak

    @contextmanager
    def _serving(self, service: Service) -> Iterator[tuple[measured.Child, int]]:
        assert service.port is not None
        with measured.child(service.argv, self.environment, self._log("api")) as child:
            deadline = time.perf_counter() + _START_TIMEOUT_S
            while not is_ready(service):
                if child.process.poll() is not None or time.perf_counter() > deadline:
                    raise measured.ChildFailed(f"the server does not answer: {measured.last_words(child.log)}")
                time.sleep(_POLL_S)
            yield child, service.port

    def _program(
        self, what: str, environment: Mapping[str, str], database: str, *arguments: str, title: str = ""
    ) -> dict[str, Any]:
        """One program of `orchestration.bench`, and what it found."""
        out = self.folder / "found.json"
        argv = (
            sys.executable,
            "-m",
            "orchestration.bench",
            what,
            "--database",
            database,
            "--out",
            str(out),
            *arguments,
        )
        self._run(f"{what} {title}".strip(), argv, environment)
        found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        return found

    def _run(self, stage: str, argv: tuple[str, ...], environment: Mapping[str, str]) -> measured.Ended:
        with self._stage(stage):
            return measured.run(argv, environment, self._log(stage))

    def _log(self, stage: str) -> Path:
        return self.folder / f"{stage.replace(' ', '-')}.log"

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        self.progress.started(name)
        try:
            yield
        except (measured.ChildFailed, http_load.LoadError) as error:
            self.progress.failed(name, str(error))
            raise
        self.progress.finished(name)


def _environment(settings: Settings, databases: Databases) -> dict[str, str]:
    # What the person's own environment says of a server must not reach a child: scratch settings name theirs or none.
    return {**library_environment(settings, databases), "DATABASE_URL": settings.database_url or ""}
