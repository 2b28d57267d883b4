"""The bench as a whole: a server and workspaces of its own, the stages in them, one document that is kept as it grows.

The stages are `orchestration.local.bench_conductor`, what their figures become `orchestration.bench.document`.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from orchestration.bench.document import Outcome, document, keep
from orchestration.bench.figures import figure
from orchestration.configuration.keeper import KeeperSettings
from orchestration.local.bench_conductor import Conductor, Size
from orchestration.local.bench_stages import run_stages
from orchestration.local.progress import Progress
from orchestration.local.workspace import opened
from orchestration.settings import Settings, parse_market

_PORTS = ("dagster_port", "mlflow_port", "api_port", "devnet_port", "code_port")


def bench(settings: Settings, size: Size, progress: Progress) -> dict[str, Any]:
    """Measure everything and return the document; its `failures` name the stages that failed.

    After each stage it is written to the folder `bench` of the state folder, with the words of stages that failed
    beside it. Nothing else is left on this machine, also after Ctrl-C.
    Raises DatabaseError when the scratch server does not start.
    """
    began, started, load = time.perf_counter(), datetime.now(UTC), os.getloadavg()
    path = settings.state_root / "bench" / f"{started:%Y-%m-%dT%H-%M-%S}-{size.name}.json"
    head = {
        "bench": size.name,
        "started": started.isoformat(timespec="seconds"),
        "machine": _machine(load),
        "market": f"simulated, seed {settings.seed}",
    }

    def whole(outcome: Outcome, finished: bool) -> dict[str, Any]:
        spent = figure(time.perf_counter() - began, "s")
        return {**head, "finished": finished, **document(outcome), "whole_bench": spent}

    # The server's own account has to pass through the folder, and the files in it are that account's.
    with tempfile.TemporaryDirectory(prefix="ballast-bench-", ignore_cleanup_errors=True) as folder:
        scratch = _shortened(_scratch(settings, Path(folder)), size.history_days)
        with opened(scratch) as databases:
            conductor = Conductor(scratch, databases, size)
            told: set[str] = set()

            def after_each(outcome: Outcome) -> None:
                keep(path, whole(outcome, finished=False))
                for stage in set(outcome.failed) - told:
                    told.add(stage)
                    _keep_log(conductor.log(stage), path)

            progress.note(f"kept after each stage: {path}")
            outcome = run_stages(conductor.stages(), progress, after_each)
    finished = whole(outcome, finished=True)
    keep(path, finished)
    return finished


def _keep_log(log: Path, beside: Path) -> None:
    if log.is_file():
        shutil.copyfile(log, beside.with_suffix(f".{log.name}"))


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
        keeper=KeeperSettings(),
        **ports,
    )


def _shortened(scratch: Settings, history_days: int | None) -> Settings:
    """These settings with a simulated market that has so many days of history; None: as many as it has."""
    if history_days is None:
        return scratch
    universe = yaml.safe_load(scratch.universe_path.read_text(encoding="utf-8"))
    universe["simulated"]["history_days"] = history_days
    path = scratch.state_root / "universe.yaml"
    path.write_text(yaml.safe_dump(universe, sort_keys=False), encoding="utf-8")
    return replace(scratch, universe_path=path)


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
