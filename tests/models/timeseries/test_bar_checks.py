from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from models.timeseries.bar_checks import absurd_adverts, check_bars, conflicting, still_forming, wide_ranges

NAN = float("nan")


@pytest.mark.parametrize(
    ("bar", "reasons"),
    [
        ((10, 12, 9, 11, 5), set()),
        ((10, 12, 9, 12.1, 5), {"close_outside_range"}),
        ((10, 12, 9, 12.000001, 5), set()),  # rounding
        ((8.9, 12, 9, 10, 5), {"open_outside_range"}),
        ((10, 9, 12, 10, 5), {"crossed_range"}),
        ((10, 10, 10, 10, 0), {"zero_volume"}),
        ((10, 10, 10, 10, 0.002), {"flat_bar"}),
        ((10, 10, 10, 10, NAN), set()),
        ((NAN, 12, 9, 10, NAN), set()),
    ],
)
def test_bars(bar: tuple[float, ...], reasons: set[str]) -> None:
    frame = pd.DataFrame([bar], columns=["open", "high", "low", "close", "volume_base"], dtype=float)
    assert {reason for reason, mask in check_bars(frame).items() if mask[0]} == reasons


def test_bars_without_volume() -> None:
    frame = pd.DataFrame({"open": [1.0], "high": [1.0], "low": [1.0], "close": [1.0]})
    assert not any(mask.any() for mask in check_bars(frame).values())


@pytest.mark.parametrize(("known_after_min", "forming"), [(59, True), (60, False), (61, False)])
def test_still_forming(known_after_min: int, forming: bool) -> None:
    ts = pd.Series(pd.to_datetime(["2022-01-01"], utc=True))
    assert still_forming(ts, ts + pd.Timedelta(minutes=known_after_min), timedelta(hours=1)).tolist() == [forming]


def test_conflicting_needs_two_values() -> None:
    frame = pd.DataFrame({"day": [1, 1, 2, 2, 3], "value": [1.0, 2.0, 1.0, 1.0, 1.0]})
    assert conflicting(frame, ["day"], "value").tolist() == [True, True, False, False, False]


@pytest.mark.parametrize(
    ("low", "high", "reasons"),
    [
        (10.0, 14.0, set()),
        (12 / np.exp(0.5) * 1.001, 12 * np.exp(0.5) * 0.999, set()),
        (12 / np.exp(0.5) * 0.999, 14.0, {"absurd_low_advert"}),
        (10.0, 12 * np.exp(0.5) * 1.001, {"absurd_high_advert"}),
        (5.0, 27.0, {"absurd_low_advert", "absurd_high_advert"}),
        (NAN, NAN, set()),
    ],
)
def test_absurd_adverts(low: float, high: float, reasons: set[str]) -> None:
    frame = pd.DataFrame({"rate": [12.0], "low": [low], "high": [high]})
    assert {reason for reason, mask in absurd_adverts(frame).items() if mask[0]} == reasons


@pytest.mark.parametrize(("high", "wide"), [(10 * np.exp(0.15) * 0.999, False), (10 * np.exp(0.15) * 1.001, True)])
def test_wide_ranges(high: float, wide: bool) -> None:
    assert wide_ranges(pd.DataFrame({"high": [high, NAN], "low": [10.0, 1.0]})).tolist() == [wide, False]
