"""A real Ray cluster of this machine: the same promises as processes keep, and what only a cluster can do wrong."""

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from models.contracts.market import SeriesKind
from models.contracts.running import IN_TURN
from models.regimes.labels import known_regimes
from models.volatility.panel import build_panel
from models.volatility.walk_forward import walk_forward
from orchestration import workers
from orchestration.settings import SettingsError
from orchestration.workers import Cluster
from tests.orchestration.planted import coins

ray = pytest.importorskip("ray", reason="a real cluster needs ballast[distributed]")
AT_START = signal.getsignal(signal.SIGTERM)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", str(tmp_path_factory.getbasetemp()))
        yield Cluster("local")
        ray.shutdown()


def _where(answer: int) -> tuple[int, int]:
    return answer, os.getpid()


def _fails() -> int:
    raise ValueError("series USDNGN has no rows")


def _dies_once(mark: Path) -> str:
    if mark.exists():
        return "done"
    mark.touch()
    os._exit(1)


def test_results_come_in_the_order_of_the_tasks_from_other_processes(cluster: Cluster) -> None:
    assert cluster.workers == os.cpu_count()
    found = cluster([partial(_where, n) for n in range(5)])
    assert [answer for answer, _ in found] == [0, 1, 2, 3, 4]
    assert os.getpid() not in {process for _, process in found}


def test_an_error_of_a_task_arrives_as_it_was_raised(cluster: Cluster) -> None:
    with pytest.raises(ValueError, match=r"^series USDNGN has no rows$") as raised:
        cluster([partial(_where, 1), _fails])
    assert raised.type is ValueError


def test_a_task_whose_worker_dies_is_done_again(cluster: Cluster, tmp_path: Path) -> None:
    assert cluster([partial(_dies_once, tmp_path / "mark")]) == ["done"]


def test_a_machine_with_other_packages_does_not_work(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "installed", lambda: {"numpy": "1.0"})
    with pytest.raises(SettingsError, match=r"BALLAST_RAY_ADDRESS.* has numpy \S+ instead of 1\.0: install"):
        cluster([partial(_where, 1)])


def test_the_signal_that_ends_a_run_stays_with_the_caller(cluster: Cluster) -> None:
    assert cluster([partial(_where, 1)])
    assert signal.getsignal(signal.SIGTERM) is AT_START


def test_a_walk_forward_on_the_cluster_is_the_one_made_here_bit_for_bit(cluster: Cluster) -> None:
    panel = build_panel(coins(datetime(2026, 3, 1, tzinfo=UTC), days=900), SeriesKind.CANDLES)
    here, there = (walk_forward(panel, SeriesKind.CANDLES, 1, run=where) for where in (IN_TURN, cluster))
    pd.testing.assert_frame_equal(here, there, check_exact=True)
    pd.testing.assert_frame_equal(known_regimes(panel), known_regimes(panel, cluster), check_exact=True)
