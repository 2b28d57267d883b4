"""Evaluations of markets too young to compare anything in."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.contracts.market import SeriesKind
from models.contracts.tables import ML_EVALUATIONS
from orchestration.assets.evaluation import (
    Work,
    is_stored,
    judge_forecasts,
    make_forecasts,
    read_forecasts,
    store_evaluation,
)
from orchestration.resources.model_registry import ModelRegistry
from orchestration.resources.workspace import Workspace


@pytest.mark.parametrize(("days", "forecasts"), [(7, 0), (400, 6 * 35)])
def test_a_short_history_is_an_evaluation_without_figures(
    workspace: Workspace, registry: ModelRegistry, days: int, forecasts: int
) -> None:
    rng = np.random.default_rng(1)
    rows = pd.DataFrame(
        {
            "series": "ETH",
            "as_of": pd.date_range("2022-01-02", periods=days, freq="D", tz="UTC"),
            "rv": np.exp(rng.normal(-7.0, 1.0, days)),
            "ret": rng.normal(0.0, 0.02, days),
        }
    )
    work, other = (Work(SeriesKind.CANDLES, horizon, rows, "data", "code") for horizon in (1, 7))
    assert (work.other_id, other.other_id) == (other.id, work.id)
    make_forecasts(workspace, (work, other))
    judged = judge_forecasts(work.kind, *(read_forecasts(workspace, evaluation) for evaluation in (work.id, other.id)))
    store_evaluation(workspace, registry, work, judged)
    assert is_stored(workspace, work.id)
    assert len(read_forecasts(workspace, work.id)) == forecasts
    stored = workspace.warehouse.rows(f"select model, series, rows from {ML_EVALUATIONS}")
    assert [dict(row) for row in stored] == [{"model": "ewma", "series": "*", "rows": 0}]
