from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.contracts.market import SeriesKind
from models.volatility.bundle import Bundle, load_bundle
from models.volatility.bundle_fit import fit_bundle
from models.volatility.walk_forward import walk_forward
from orchestration import quiet, served_rows
from orchestration.resources.model_registry import BUNDLE, ModelRegistry, Version

NAME = "volatility_candles_1d"


def rows(days: int = 1000) -> pd.DataFrame:
    """Two coins with clustered volatility."""
    rng = np.random.default_rng(5)
    parts = []
    for series in ("BTC", "ETH"):
        log_rv = np.zeros(days)
        for t in range(1, days):
            log_rv[t] = 0.9 * log_rv[t - 1] + 0.3 * rng.standard_normal()
        rv = 1e-3 * np.exp(log_rv)
        as_of = pd.date_range("2023-01-01", periods=days, freq="D", tz="UTC")
        ret = np.sqrt(rv) * rng.standard_normal(days)
        parts.append(pd.DataFrame({"series": series, "as_of": as_of, "rv": rv, "ret": ret, "is_held": False}))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def fitted() -> Bundle:
    data = rows()
    return fit_bundle(data, SeriesKind.CANDLES, 1, "ewma", walk_forward(data, SeriesKind.CANDLES, 1, ("ewma",)))


def register(registry: ModelRegistry, bundle: Bundle, folder: Path, evaluation: str) -> Version:
    path = folder / BUNDLE
    path.mkdir(parents=True)
    bundle.save(path)
    run_id = registry.open_run(evaluation, evaluation, {"panel": "candles"})
    question, answer = served_rows.question(rows()), served_rows.answer(bundle.predict(rows()))
    return registry.register(run_id, NAME, path, question, answer, evaluation, "ewma")


def test_a_bundle_comes_back_as_it_was(registry: ModelRegistry, fitted: Bundle, tmp_path: Path) -> None:
    assert registry.champion(NAME) is None
    version = register(registry, fitted, tmp_path / "one", "e1")
    assert registry.champion(NAME) is None, "a version serves only once it is promoted"
    registry.promote(version)
    assert registry.champion(NAME) == version
    assert registry.champions() == {NAME: version}
    stored = load_bundle(registry.bundle(version))
    expected = served_rows.answer(fitted.predict(rows()))
    pd.testing.assert_frame_equal(served_rows.answer(stored.predict(rows())), expected)


def test_mlflow_can_serve_it(registry: ModelRegistry, fitted: Bundle, tmp_path: Path) -> None:
    version = register(registry, fitted, tmp_path / "one", "e1")
    with quiet.libraries():
        import mlflow

        served = mlflow.pyfunc.load_model(f"models:/{NAME}/{version.version}")
        whole = served_rows.question(rows(), last=1000)
        for question in (whole, whole[whole["series"] == "BTC"]):
            expected = served_rows.answer(fitted.predict(question))
            pd.testing.assert_frame_equal(served.predict(question), expected)


def test_an_evaluation_is_registered_once(registry: ModelRegistry, fitted: Bundle, tmp_path: Path) -> None:
    first = register(registry, fitted, tmp_path / "one", "e1")
    assert register(registry, fitted, tmp_path / "two", "e1") == first
    second = register(registry, fitted, tmp_path / "three", "e2")
    assert (first.version, second.version) == ("1", "2")
    assert registry.open_run("e1", "e1", {}) == first.run_id


def test_what_an_evaluation_found_can_be_logged_twice(registry: ModelRegistry) -> None:
    from matplotlib.figure import Figure

    run_id = registry.open_run("e1", "e1", {})
    for _ in range(2):
        registry.log(
            run_id, {"panel": "candles"}, {"ewma.qlike": 0.4}, {"plots/a.png": Figure()},
            {"gate.csv": pd.DataFrame({"model": ["ewma"]})},
        )  # fmt: skip


def test_folds_stand_below_their_evaluation_once(registry: ModelRegistry) -> None:
    parent = registry.open_run("e1", "e1", {})
    for loss in (0.4, 0.3):
        registry.log_folds(parent, "e1", {"2021-01 to 2021-12": {"ewma.qlike": loss}, "2022-01 to 2022-12": {}})
    with registry._client() as client:
        (experiment,) = {client.get_run(parent).info.experiment_id}
        runs = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent}'")
    found = {run.info.run_name: run.data.metrics for run in runs}
    assert found == {"2021-01 to 2021-12": {"ewma.qlike": 0.3}, "2022-01 to 2022-12": {}}
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert registry.open_run("e1", "e1", {}) == parent, "a fold is not taken for its evaluation"
