"""Losses by fold: consecutive, complete, and equal to the whole when weighted by their dates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.validation.evaluation import comparable, panel_losses
from models.validation.folds import MAX_FOLDS, losses_by_fold


def walk(days: int) -> pd.DataFrame:
    rng = np.random.default_rng(days)
    dates = pd.date_range("2020-01-01", periods=days, freq="D", tz="UTC")
    rows = [
        pd.DataFrame(
            {
                "model": model, "series": series, "horizon_days": 1, "as_of": dates, "realised": 1e-4,
                "rv_forecast": 1e-4 * np.exp(size * rng.standard_normal(days)), "managed": False, "scored": True,
            }
        )
        for model, size in (("ewma", 0.6), ("log_har", 0.3)) for series in ("A", "B")
    ]  # fmt: skip
    return pd.concat(rows, ignore_index=True)


@pytest.mark.parametrize(("days", "folds"), [(1, 1), (119, 1), (120, 2), (700, 11), (5000, MAX_FOLDS)])
def test_folds_follow_each_other_and_add_up(days: int, folds: int) -> None:
    frame = walk(days)
    found = losses_by_fold(frame)
    assert len(found) == folds
    assert found["dates"].sum() == days
    assert (found["first"].to_numpy()[1:] > found["last"].to_numpy()[:-1]).all()
    whole = panel_losses(comparable(frame)).mean()
    for model in ("ewma", "log_har"):
        assert np.average(found[model], weights=found["dates"]) == pytest.approx(whole[model])


def test_nothing_to_compare() -> None:
    assert losses_by_fold(walk(5).assign(managed=True)).empty
