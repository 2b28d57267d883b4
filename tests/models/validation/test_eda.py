"""Facts of a panel: known processes give known numbers, short or still series give none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.contracts.market import SeriesKind
from models.validation.eda import COLUMNS, LAGS, autocorrelation, clustering, facts
from models.validation.plots import volatility_clusters
from models.volatility.panel import build_panel

DAYS = 4000


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """`AAA`: ln variance is an AR(1) with coefficient 0.9; `STILL`: never moves; `YOUNG`: 100 days."""
    rng = np.random.default_rng(8)
    level = np.zeros(DAYS)
    for day in range(1, DAYS):
        level[day] = 0.9 * level[day - 1] + np.sqrt(1 - 0.81) * rng.standard_normal()
    rv = 4e-4 * np.exp(level)
    calendar = pd.date_range("2012-01-01", periods=DAYS, freq="D", tz="UTC")
    moving = pd.DataFrame(
        {"series": "AAA", "as_of": calendar, "rv": rv, "ret": np.sqrt(rv) * rng.standard_normal(DAYS)}
    )
    moving.loc[:399, "rv"] = np.nan
    still = pd.DataFrame({"series": "STILL", "as_of": calendar, "rv": 1e-10, "ret": 0.0})
    return pd.concat([moving, still, moving.tail(100).assign(series="YOUNG")], ignore_index=True)


def test_a_known_process(rows: pd.DataFrame) -> None:
    table = facts(build_panel(rows, SeriesKind.CANDLES)).set_index("series")
    assert tuple(table.reset_index().columns) == COLUMNS
    own = table.loc["AAA"]
    assert own["missing"] == pytest.approx(0.1)
    assert [own["acf_log_rv_1"], own["acf_log_rv_5"], own["acf_log_rv_22"]] == pytest.approx([0.9, 0.59, 0.1], abs=0.08)
    assert own["sigma_ann"] == pytest.approx(np.sqrt(365 * 4e-4 * np.exp(0.5)), rel=0.1)
    assert own["kurtosis"] > 2  # a mixture of normals: 3 (e - 1) = 5.2 in expectation
    assert abs(own["acf_ret_1"]) < 0.08 < own["acf_abs_ret_1"]


@pytest.mark.parametrize("series", ["STILL", "YOUNG"])
def test_what_cannot_be_measured_is_missing(rows: pd.DataFrame, series: str) -> None:
    table = facts(build_panel(rows, SeriesKind.CANDLES)).set_index("series")
    assert table.loc[series, ["kurtosis", "acf_abs_ret_1", "acf_log_rv_1", "leverage"]].isna().all()


def test_gaps_are_left_out_pair_by_pair() -> None:
    values = np.sin(np.arange(600) / 3.0)
    holes = values.copy()
    holes[100:110] = np.nan
    there = [t for t in range(600 - 2) if np.isfinite(holes[t]) and np.isfinite(holes[t + 2])]
    expected = np.corrcoef(values[there], values[np.array(there) + 2])[0, 1]
    assert autocorrelation(holes, 2) == pytest.approx(expected)


def test_the_picture_has_a_line_a_series(rows: pd.DataFrame) -> None:
    table = clustering(build_panel(rows, SeriesKind.CANDLES))
    assert table.shape == (LAGS, 3)
    (axes,) = volatility_clusters(table).axes
    assert len(axes.lines) == 3 + 2  # and the median, and zero
