"""PIT: uniform if errors go on as they were, a valley where they grow, and nothing that was not known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from models.contracts.horizons import PROTOCOLS
from models.contracts.market import SeriesKind
from models.validation.pit import pit
from models.validation.plots import PIT_BINS, pit_histogram

PROTOCOL = PROTOCOLS[SeriesKind.CANDLES]
DAYS = 3000


def walk(late_spread: float = 1.0) -> pd.DataFrame:
    """Log errors are normal; in the second half they are `late_spread` times as wide."""
    rng = np.random.default_rng(4)
    spread = np.where(np.arange(DAYS) < DAYS // 2, 1.0, late_spread)
    return pd.DataFrame(
        {
            "model": "ewma",
            "series": "A",
            "horizon_days": 1,
            "as_of": pd.date_range("2015-01-01", periods=DAYS, freq="D", tz="UTC"),
            "rv_forecast": 1e-4,
            "realised": 1e-4 * np.exp(0.5 * spread * rng.standard_normal(DAYS)),
            "managed": False,
            "scored": True,
        }
    )


def test_steady_errors_are_uniform() -> None:
    values = pit(walk(), "ewma", PROTOCOL)
    assert len(values) == DAYS - 151  # 150 known errors first, the newest of them two days old
    assert stats.kstest(values, "uniform").pvalue > 0.05


def test_errors_that_grow_fall_outside_the_law() -> None:
    values = pit(walk(late_spread=2.0)[: DAYS // 2 + 200], "ewma", PROTOCOL)[-200:]
    assert ((values < 0.05) | (values > 0.95)).mean() > 0.25


@pytest.mark.parametrize("column", ["managed", "scored"])
def test_rows_that_do_not_count_have_no_value_but_their_errors_are_known(column: str) -> None:
    frame = walk()
    whole = pit(frame, "ewma", PROTOCOL)
    frame.loc[frame.index[-100:], column] = column == "managed"
    np.testing.assert_array_equal(pit(frame, "ewma", PROTOCOL), whole[:-100])


def test_no_model_no_value() -> None:
    assert len(pit(walk(), "garch", PROTOCOL)) == 0


def test_the_picture_holds_every_value() -> None:
    values = np.linspace(0.0, 1.0, 400)
    (axes,) = pit_histogram(values, "ewma").axes
    assert len(axes.patches) == PIT_BINS + 1  # and the band
    assert sum(bar.get_height() for bar in axes.patches[:PIT_BINS]) == pytest.approx(1.0)
    assert pit_histogram(np.empty(0), "ewma").axes[0].get_legend() is None
