"""A real Ray cluster, which BALLAST_RAY_ADDRESS names: what processes promise, a cluster promises too.

`ray start --head`, then `BALLAST_RAY_ADDRESS=auto pytest` with this file. Tasks are functions of the standard library
and of ours: a test does not travel to other machines."""

import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from threading import Timer

import pytest

from models.contracts.market import SeriesKind
from models.contracts.running import IN_TURN, Runner
from models.regimes.labels import known_regimes
from models.runs.plan import unwatched
from models.stress.standard import plan
from models.volatility.panel import build_panel
from models.volatility.walk_forward import walk_forward
from orchestration import workers
from orchestration.settings import SettingsError
from orchestration.workers import Cluster
from tests.models.stress.markets import Market
from tests.orchestration.planted import coins


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    address = os.environ.get("BALLAST_RAY_ADDRESS")
    if not address:
        pytest.skip("no Ray cluster (BALLAST_RAY_ADDRESS)")
    yield Cluster(address)
    import ray

    ray.shutdown()


class Cancelled(BaseException):
    """What an orchestrator raises where a run waits."""


def _cancel(*_: object) -> None:
    raise Cancelled


def test_results_come_in_the_order_of_the_tasks_from_other_processes(cluster: Cluster) -> None:
    assert cluster.workers >= 1
    assert cluster([partial(pow, n, 2) for n in range(5)]) == [0, 1, 4, 9, 16]
    assert os.getpid() not in cluster([os.getpid] * 3)


def test_an_error_of_a_task_arrives_as_it_was_raised(cluster: Cluster) -> None:
    with pytest.raises(ValueError, match=r"^invalid literal for int\(\) with base 10: 'a price'$") as raised:
        cluster([partial(int, "1"), partial(int, "a price")])
    assert raised.type is ValueError


def test_a_machine_with_other_packages_does_not_work(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "installed", lambda: {"numpy": "1.0"})
    with pytest.raises(SettingsError, match=r"BALLAST_RAY_ADDRESS.* has numpy \S+ instead of 1\.0: install"):
        cluster([os.getpid])


def test_a_machine_without_a_package_says_which(cluster: Cluster) -> None:
    with pytest.raises(SettingsError, match=r"BALLAST_RAY_ADDRESS.* has no module nowhere: install"):
        cluster([partial(import_module, "nowhere")])


def test_a_run_that_is_cancelled_does_not_wait_for_its_tasks(cluster: Cluster) -> None:
    assert cluster.workers >= 1
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL  # Ray has left it as it was
    signal.signal(signal.SIGTERM, _cancel)
    Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM)).start()
    try:
        with pytest.raises(Cancelled):
            cluster([partial(time.sleep, 5.0)])
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def test_a_walk_forward_on_the_cluster_is_the_one_made_here_byte_for_byte(cluster: Cluster) -> None:
    panel = build_panel(coins(datetime(2026, 3, 1, tzinfo=UTC), days=900), SeriesKind.CANDLES)

    def made(run: Runner) -> tuple[bytes, bytes]:
        forecasts = walk_forward(panel, SeriesKind.CANDLES, 1, run=run)
        return forecasts.to_parquet(), known_regimes(panel, run).to_parquet()

    assert made(cluster) == made(IN_TURN)


def test_a_simulation_on_the_cluster_is_the_one_made_here_byte_for_byte(cluster: Cluster) -> None:
    made = plan({"vault_id": "mixed", "paths": 11_111, "days": 2, "shocks": {"gap": {}}, "seed": 3}, Market())
    assert made.share is not None
    assert made.share(unwatched, cluster) == made.compute(unwatched)
