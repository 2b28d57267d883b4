"""Closes as bars: which price a leg has at a moment, which days are complete, and forecasts as scores."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal as D

import numpy as np
import pytest

from models.backtest.market import Closes, Published, bars_of, scores_of, usable_days
from models.backtest.request import Terms
from models.contracts.market import DataMode
from models.contracts.vault import PolicyName, VaultAsset, VaultConfig, VaultLimits

HOUR = 3_600_000_000
MONDAY = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
VAULT = VaultConfig(
    "v", "devnet", None,
    (VaultAsset("USDC", None, D("0.2"), stable=True), VaultAsset("cNGN", "NGN", D("0.3"), invert=True),
     VaultAsset("BTC", "BTC", D("0.5"))),
    VaultLimits(), PolicyName.ON_OFF,
)  # fmt: skip
TERMS = {"BTC": Terms(7_200, 3_600), "NGN": Terms(172_800, 86_400)}


def closes(hours: list[int], prices: list[float]) -> Closes:
    return Closes(MONDAY + np.array(hours, dtype=np.int64) * HOUR, np.array(prices))


def test_a_leg_has_its_newest_close_until_that_is_too_old() -> None:
    bars = bars_of(VAULT, TERMS, {"BTC": closes([1, 2, 3, 7], [10, 11, 12, 13]), "NGN": closes([0], [500])})
    assert bars is not None
    assert ((bars.times_us - MONDAY) // HOUR).tolist() == [1, 2, 3, 4, 5, 6, 7]
    # 2 hours are allowed: the print of hour 3 still counts at 5 and no longer at 6.
    np.testing.assert_array_equal(bars.prices[:, 2], [10, 11, 12, 12, 12, np.nan, 13])
    np.testing.assert_array_equal(bars.prices[:, 1], np.full(7, 1 / 500))
    np.testing.assert_array_equal(bars.prices[:, 0], np.ones(7))


def test_bars_begin_where_every_leg_has_a_price() -> None:
    bars = bars_of(VAULT, TERMS, {"BTC": closes([0, 24, 25, 26], [1, 2, 3, 4]), "NGN": closes([24], [500])})
    assert bars is not None
    assert (bars.times_us[0] - MONDAY) // HOUR == 24


@pytest.mark.parametrize(
    "known",
    [
        {"BTC": closes([0], [1.0])},
        {"BTC": closes([], []), "NGN": closes([0], [1.0])},
        {"BTC": closes([0, 1], [1.0, 1.0]), "NGN": closes([100], [1.0])},  # never both at once
    ],
)
def test_no_bars_without_a_common_moment(known: dict[str, Closes]) -> None:
    assert bars_of(VAULT, TERMS, known) is None


def test_a_day_is_usable_once_its_midnight_is_priced() -> None:
    hours = [h for h in range(80) if h not in (46, 47, 48)]  # the second midnight has no print that is fresh enough
    bars = bars_of(VAULT, TERMS, {"BTC": closes(hours, [1.0] * len(hours)), "NGN": closes([0, 24, 48, 72], [1.0] * 4)})
    assert bars is not None
    first = MONDAY // (24 * HOUR)
    assert (usable_days(bars) - first).tolist() == [-1, 0, 2]


def test_a_forecast_is_a_score_of_its_midnight() -> None:
    at = datetime(2024, 1, 2, tzinfo=UTC)
    (score,) = scores_of("v", [Published(at, 75.0, 0.3, 4e-4, 0.03, 0.04)], DataMode.REPLAY)
    assert (score.subject, score.as_of, score.issued_at) == ("vault:v", at, at)
    assert (score.score, score.data_mode) == (75.0, DataMode.REPLAY)
    assert score.sigma_ann == pytest.approx(math.sqrt(365 * 4e-4))
