"""Processes: results come in the order of the tasks, an error arrives as it was raised, few rows start none.

The cluster is a stand-in; `test_workers_on_ray.py` asks a real one."""

import os
import pickle
import socket
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from functools import partial
from types import ModuleType, SimpleNamespace
from unittest.mock import Mock

import pandas as pd
import pytest

from models.contracts.market import SeriesKind
from models.contracts.running import IN_TURN, Runner
from models.regimes.labels import known_regimes
from models.runs.plan import Cancelled, unwatched
from models.stress.simulation import ROUNDS
from models.stress.standard import plan
from models.volatility.panel import build_panel
from models.volatility.walk_forward import walk_forward
from orchestration import workers
from orchestration.settings import SettingsError
from orchestration.workers import WORTH_CLUSTER, WORTH_PROCESSES, Cluster, Processes, cluster_for, runner_for
from tests.models.stress.markets import Market
from tests.orchestration.planted import coins


def _after(seconds: float, answer: int) -> tuple[int, int]:
    time.sleep(seconds)
    return answer, os.getpid()


def _fails() -> int:
    raise ValueError("series USDNGN has no rows")


def test_results_come_in_the_order_of_the_tasks_from_other_processes() -> None:
    found = Processes(2)([partial(_after, 0.2, 1), partial(_after, 0.0, 2), partial(_after, 0.0, 3)])
    assert [answer for answer, _ in found] == [1, 2, 3]
    assert os.getpid() not in {process for _, process in found}


def test_an_error_of_a_task_arrives_as_it_was_raised() -> None:
    with pytest.raises(ValueError, match="series USDNGN has no rows"):
        Processes(2)([partial(_after, 0.0, 1), _fails])


@pytest.mark.parametrize(
    ("rows", "workers", "cluster", "runner"),
    [
        (WORTH_PROCESSES, 2, None, Processes(2)),
        (WORTH_PROCESSES - 1, 2, None, IN_TURN),
        (WORTH_PROCESSES, 1, None, IN_TURN),
        (WORTH_PROCESSES, 1, "ray://head:10001", Cluster("ray://head:10001")),
        (WORTH_PROCESSES - 1, 8, "ray://head:10001", IN_TURN),
    ],
)
def test_processes_and_clusters_are_for_panels_that_are_worth_them(
    rows: int, workers: int, cluster: str | None, runner: Runner
) -> None:
    assert runner_for(rows, workers, cluster) == runner


class TaskFailed(Exception):
    """What ray raises for an error of a task: it carries the error itself."""

    def __init__(self, cause: Exception) -> None:
        super().__init__("a traceback of another machine")
        self.cause = cause


class FakeRay(ModuleType):
    """What of ray is asked: a head with three CPUs that works as soon as it is asked."""

    def __init__(self) -> None:
        super().__init__("ray")
        self.addresses: list[str] = []
        self.cloudpickle = pickle
        self.exceptions = SimpleNamespace(RayTaskError=TaskFailed)

    def is_initialized(self) -> bool:
        return bool(self.addresses)

    def init(self, address: str, **_: object) -> None:
        self.addresses.append(address)

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 3.0, "memory": 1e9}

    def remote(self, function: Callable[..., object]) -> SimpleNamespace:
        def asked(*arguments: object) -> SimpleNamespace:
            answer: Future[object] = Future()
            try:
                answer.set_result(function(*arguments))
            except ValueError as error:
                answer.set_exception(TaskFailed(error))
            return SimpleNamespace(future=lambda: answer)

        return SimpleNamespace(remote=asked)


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    made = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", made)
    return made


def test_a_cluster_is_asked_once_for_its_size_and_answers_in_order(ray: FakeRay) -> None:
    run = Cluster("auto")
    assert run.workers == 3
    assert [answer for answer, _ in run([partial(_after, 0.0, n) for n in range(5)])] == [0, 1, 2, 3, 4]
    assert ray.addresses == ["auto"]


def test_an_error_on_a_cluster_arrives_as_it_was_raised(ray: FakeRay) -> None:
    with pytest.raises(ValueError, match=r"^series USDNGN has no rows$"):
        Cluster("auto")([partial(_after, 0.0, 1), _fails])


def test_a_machine_with_another_version_of_a_package_refuses_to_work(
    ray: FakeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = iter([{"numpy": "2.4.6", "lightgbm": "4.7.0"}, {"numpy": "2.4.6", "lightgbm": "missing"}])
    monkeypatch.setattr(workers, "installed", lambda: next(versions))  # here, then there
    with pytest.raises(SettingsError, match=r"BALLAST_RAY_ADDRESS.* has lightgbm missing instead of 4\.7\.0: install"):
        Cluster("auto")([partial(_after, 0.0, 1)])


@pytest.mark.parametrize("address", ["127.0.0.1:{port}", "ray://127.0.0.1:{port}", "127.0.0.1:99999"])
def test_a_cluster_that_is_away_is_told_before_ray_waits_for_it(ray: FakeRay, address: str) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))  # bound and not listening: a port of nobody
        named = address.format(port=deaf.getsockname()[1])
        with pytest.raises(
            SettingsError, match=rf"BALLAST_RAY_ADDRESS: no connection to {named}.*without the variable"
        ):
            Cluster(named)([partial(_after, 0.0, 1)])
    assert ray.addresses == []


@pytest.mark.parametrize("error", [ConnectionError("none running"), ValueError("malformed"), RuntimeError("versions")])
def test_what_ray_says_of_an_address_is_told_with_the_way_out(
    ray: FakeRay, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(ray, "init", Mock(side_effect=error))
    with pytest.raises(SettingsError, match=rf"BALLAST_RAY_ADDRESS: no connection to auto \({error}\); start"):
        _ = Cluster("auto").workers


def test_a_cluster_without_the_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SettingsError, match=r"BALLAST_RAY_ADDRESS.*pip install 'ballast\[distributed\]'"):
        Cluster("auto")([partial(_after, 0.0, 1)])


@pytest.mark.parametrize(
    ("work", "named", "found"),
    [
        (WORTH_CLUSTER, None, None),
        (WORTH_CLUSTER - 1, "auto", None),
        (WORTH_CLUSTER, "auto", Cluster("auto")),
    ],
)
def test_only_a_large_run_is_worth_a_cluster(work: int, named: str | None, found: Cluster | None) -> None:
    assert cluster_for(work, named) == found


@pytest.mark.parametrize("generator", ["scaled", "weighted"])
def test_a_simulation_on_a_cluster_is_the_one_made_here_byte_for_byte(ray: FakeRay, generator: str) -> None:
    """More paths than bands show and than a pilot takes, in parts that are not all of one size."""
    asked = {
        "vault_id": "mixed", "paths": 11_111, "days": 2, "generator": generator, "seed": 3,
        "shocks": {"gap": {"rate_per_year": 50}}, "scenario": "terra-2022-05",
    }  # fmt: skip
    made, heard = plan(asked, Market()), list[float]()
    assert made.share is not None
    there = made.share(heard.append, Cluster("auto"))
    assert there == made.compute(unwatched)
    assert ray.addresses == ["auto"]
    assert heard == sorted(heard)
    assert len(set(heard)) > 3 * ROUNDS


def test_a_simulation_on_a_cluster_is_called_off_between_two_rounds(ray: FakeRay) -> None:
    made, heard = plan({"vault_id": "mixed", "paths": 2_000, "days": 2}, Market()), list[float]()
    assert made.share is not None

    def enough(share: float) -> None:
        heard.append(share)
        raise Cancelled

    with pytest.raises(Cancelled):
        made.share(enough, Cluster("auto"))
    assert ray.addresses == ["auto"]
    assert heard[0] < 0.5


def test_a_walk_forward_in_processes_is_the_one_made_here_bit_for_bit() -> None:
    panel = build_panel(coins(datetime(2026, 3, 1, tzinfo=UTC), days=900), SeriesKind.CANDLES)
    run = Processes(2)
    here, there = (walk_forward(panel, SeriesKind.CANDLES, 1, run=where) for where in (IN_TURN, run))
    pd.testing.assert_frame_equal(here, there, check_exact=True)
    pd.testing.assert_frame_equal(known_regimes(panel), known_regimes(panel, run), check_exact=True)
