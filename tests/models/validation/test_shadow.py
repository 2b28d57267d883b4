"""Forecasts in shadow against their outcomes, on numbers that can be checked by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from models.contracts.market import SeriesKind
from models.validation.shadow import compare, compare_evaluated, outcomes

DAYS = pd.date_range("2026-01-01", periods=6, freq="D", tz="UTC")


def rows(series: str, rv: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"series": series, "as_of": DAYS[: len(rv)], "rv": rv, "ret": 0.0})


@pytest.mark.parametrize(
    ("horizon", "expected"),
    [
        (1, {0: 2e-4, 1: 3e-4, 3: 5e-4, 4: 6e-4}),  # of day 2 the next is missing, of day 5 still ahead
        (2, {0: 2.5e-4, 3: 5.5e-4}),
    ],
)
def test_an_outcome_is_known_when_its_horizon_has_closed(horizon: int, expected: dict[int, float]) -> None:
    found = outcomes(rows("BTC", [1e-4, 2e-4, 3e-4, math.nan, 5e-4, 6e-4]), SeriesKind.CANDLES, horizon)
    assert dict(zip(found["as_of"], found["realised"], strict=True)) == pytest.approx(
        {DAYS[day]: value for day, value in expected.items()}
    )


def test_nothing_is_known_of_nothing() -> None:
    none = outcomes(pd.DataFrame(), SeriesKind.CANDLES, 1)
    said = pd.DataFrame({"series": ["BTC"], "as_of": DAYS[:1], "rv_forecast": [1e-4]})
    assert compare(said, said, none, 1).dates == 0


def said(forecasts: dict[tuple[str, int], float]) -> pd.DataFrame:
    return pd.DataFrame(
        [{"series": series, "as_of": DAYS[day], "rv_forecast": value} for (series, day), value in forecasts.items()]
    )


def test_dates_are_means_over_series_where_both_spoke() -> None:
    known = pd.concat([outcomes(rows(name, [1e-4] * 6), SeriesKind.CANDLES, 1) for name in ("A", "B")])
    right, double = 1e-4, 2e-4
    own = said({("A", 0): right, ("B", 0): right, ("A", 1): right, ("A", 2): right, ("A", 5): right})
    other = said({("A", 0): double, ("B", 0): right, ("A", 1): double, ("B", 2): double, ("A", 5): double})
    found = compare(own, other, known, 1)
    loss = 0.5 - math.log(0.5) - 1.0  # QLIKE of a forecast of twice the outcome
    differences = np.array([loss / 2, loss])  # day 0: two series, day 1: one; day 2: never both; day 5: not known yet
    assert found.dates == 2
    assert found.d == pytest.approx(differences.mean() / differences.std(ddof=1))


@pytest.mark.parametrize(("horizon", "dates"), [(1, 4), (2, 2), (3, 1)])
def test_overlapping_horizons_count_once(horizon: int, dates: int) -> None:
    known = pd.DataFrame({"series": "A", "as_of": DAYS[:4], "realised": 1e-4})
    own = said({("A", day): 1e-4 for day in range(4)} if horizon < 3 else {("A", day): 1e-4 for day in range(3)})
    assert compare(own, own, known, horizon).dates == dates


def test_an_evaluation_says_what_to_expect() -> None:
    rng = np.random.default_rng(2)
    as_of = pd.date_range("2024-01-01", periods=300, freq="D", tz="UTC")
    realised = np.exp(rng.normal(-8, 0.5, 300))
    parts = [
        pd.DataFrame(
            {"model": model, "series": "A", "horizon_days": 1, "as_of": as_of, "realised": realised, "managed": False,
             "scored": True, "rv_forecast": realised * np.exp(rng.normal(0, size, 300))}
        )
        for model, size in (("har", 0.6), ("lightgbm", 0.3))
    ]  # fmt: skip
    frame = pd.concat(parts, ignore_index=True)
    found = compare_evaluated(frame, "lightgbm", "har")
    assert found is not None
    assert found.dates == 300
    assert found.verdict == "better"
    assert compare_evaluated(frame, "lightgbm", "garch") is None
