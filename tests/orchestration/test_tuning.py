"""A search keeps its trials, goes on where it stopped, and changes nothing."""

from __future__ import annotations

import pytest

from models.contracts.market import SeriesKind
from models.validation.tuning import RANGES
from models.volatility.lightgbm_forecaster import PARAMETERS, ROUNDS_ONE_DAY
from orchestration.assets.evaluation import Work
from orchestration.resources.model_registry import ModelRegistry
from orchestration.resources.workspace import Workspace
from orchestration.tuning import search
from tests.models.validation.conftest import simulated

WORK = Work(SeriesKind.CANDLES, 1, simulated(SeriesKind.CANDLES, days=1450), "data", "code")


@pytest.fixture
def told() -> list[int]:
    return []


def test_a_search_goes_on_where_it_stopped(workspace: Workspace, registry: ModelRegistry, told: list[int]) -> None:
    def hear(trial: int, loss: float, best: float) -> None:
        told.append(trial)
        assert best <= loss

    first = search(workspace, registry, WORK, 2, 10.0, hear)
    again = search(workspace, registry, WORK, 3, 10.0, hear)
    assert told == [0, 1, 2]
    assert search(workspace, registry, WORK, 3, 10.0, hear).trials.equals(again.trials)
    assert told == [0, 1, 2], "nothing is left to try"
    both = again.trials.set_index("trial").loc[[0, 1]]
    assert both.equals(first.trials.set_index("trial").loc[[0, 1]])
    in_force = both.loc[0]
    assert in_force["rounds"] == ROUNDS_ONE_DAY
    assert {n: in_force[n] for n in RANGES if n != "rounds"} == {n: PARAMETERS[n] for n in RANGES if n != "rounds"}
    assert again.trials["loss"].is_monotonic_increasing
    assert again.found == {name: again.trials.iloc[0][name] for name in RANGES}


def test_its_run_says_what_was_found_and_whether_it_holds(workspace: Workspace, registry: ModelRegistry) -> None:
    made = search(workspace, registry, WORK, 1, 10.0, lambda *_: None)
    with registry._client() as client:
        run = client.get_run(registry.open_run(made.name, made.name, {}))
        files = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert run.data.metrics["trials"] == 1
    assert run.data.metrics["later.better"] == 0  # one trial: what is in force, which is not better than itself
    assert run.data.metrics["found.rounds"] == ROUNDS_ONE_DAY
    assert run.data.params["data_hash"] == "data"
    assert files == {"plots", "trials.csv"}
