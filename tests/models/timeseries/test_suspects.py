"""Thin markets and wrong scales: both sides of every threshold, and that walking in part equals walking all."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.timeseries.limits import DEFAULT_LIMITS
from models.timeseries.quarantine import Prints, Verdict, as_prints, judge, screen
from models.timeseries.suspects import bar_prints, street_prints, thin_bars

NAN = float("nan")
SCALE, THIN = math.exp(DEFAULT_LIMITS.scale_log_distance), math.exp(DEFAULT_LIMITS.thin_log_distance)
AGREE = math.exp(DEFAULT_LIMITS.bar_confirm_log_distance)
IN, OUT = 0.9999, 1.0001


def bars(closes: Sequence[float], trades: Sequence[float] | None = None, volume: Sequence[float] | None = None
         ) -> pd.DataFrame:  # fmt: skip
    close = np.array(closes)
    return pd.DataFrame(
        {
            "open": NAN, "close": close, "low": close * 0.99, "high": close * 1.01,
            "volume_base": volume if volume is not None else [NAN] * len(close),
            "trades": trades if trades is not None else [NAN] * len(close),
        }
    )  # fmt: skip


def test_a_collapse_is_a_chain_of_bars_and_believed_after_three() -> None:
    """Each hour loses two thirds: no two closes agree, but each bar starts where the one before it ended."""
    closes = [100, 100, 33, 11, 3.7, 1.2, 0.4, 0.13, 0.13]
    rows = bars(closes).assign(high=NAN, low=NAN)
    assert letters(bar_prints(rows)) == "oohhhhhhh"
    assert letters(bar_prints(rows.assign(open=[100, *closes[:-1]]))) == "oorrorroo"


def letters(prints: Prints) -> str:
    """One letter a print: o good, h held for good, r held and confirmed later."""
    screened = screen(prints)
    out = np.where(screened.held, "h", "o")
    out[[i for i, _ in screened.confirmed]] = "r"
    return "".join(out)


@pytest.mark.parametrize(
    ("closes", "expected"),
    [
        ([100, 100 * SCALE * IN, 100], "ooo"),
        ([100, 100 * SCALE * OUT, 100], "oho"),
        ([100, 100 / SCALE * IN, 100], "oho"),
        ([100, 1, 100], "oho"),
        ([100, 1, 1.01, 100], "ohho"),
        ([100, 1000, 1000 * AGREE * IN, 1000, 1000], "orroo"),
        ([100, 1000, 1000 * AGREE * OUT, 1000, 1000], "ohhhh"),
        ([100, 1000, 1000 * AGREE * OUT, 1000 * AGREE, 1000 * AGREE], "ohrro"),
        ([100, 70, 50, 40, 100 * 0.35], "ooooo"),  # a crash in steps is true
        ([100, 1, 1, 1, 100, 100, 100], "orrorro"),
    ],
)
def test_wrong_scale_of_bars(closes: list[float], expected: str) -> None:
    assert letters(bar_prints(bars(closes))) == expected


@pytest.mark.parametrize(
    ("factor", "trades", "expected"),
    [
        (THIN * IN, 1, "ooo"),
        (THIN * OUT, 1, "oho"),
        (1 / THIN * IN, 1, "oho"),
        (1.45, 0, "oho"),
        (THIN * OUT, 2, "ooo"),
        (1.45, NAN, "ooo"),  # the source does not count trades
    ],
)
def test_a_move_made_by_one_trade(factor: float, trades: float, expected: str) -> None:
    assert letters(bar_prints(bars([100, 100 * factor, 100], [500, trades, 500]))) == expected


@pytest.mark.parametrize(("volume", "held"), [(0.99, True), (1.01, False), (0.0, True), (NAN, False)])
def test_a_move_on_hardly_any_volume(volume: float, held: bool) -> None:
    rows = bars([100] * 30 + [130, 100], volume=[100.0] * 30 + [volume, 100])
    assert screen(bar_prints(rows)).held.tolist() == [False] * 30 + [held, False]


def test_a_move_that_the_next_busy_bar_repeats_is_believed_at_once() -> None:
    assert letters(bar_prints(bars([100, 120, 121, 122], [500, 1, 500, 500]))) == "ohoo"


def test_usual_volume_looks_back_only_and_waits_for_half_a_window() -> None:
    volume = [100.0] * 11 + [0.1] + [100.0] + [0.1] + [1e9] * 3
    assert np.flatnonzero(thin_bars(bars([1.0] * len(volume), volume=volume))).tolist() == [13]


@pytest.mark.parametrize(
    ("low", "high", "held"),
    [
        (99, 101 * SCALE * IN, False),
        (99, 101 * SCALE * OUT, True),
        (99 / SCALE * IN, 101, True),
        (99 / SCALE * OUT, 101, False),
        (NAN, NAN, False),
    ],
)
def test_a_range_that_reaches_too_far(low: float, high: float, held: bool) -> None:
    rows = bars([99, 101, 99]).assign(low=[99, low, 99], high=[99, high, 99])
    screened = screen(bar_prints(rows))
    assert screened.held.tolist() == [False, held, False]
    assert screened.last_good[2] == pytest.approx(101)  # its close is fine


def test_the_first_bar_has_nothing_to_be_measured_against() -> None:
    assert letters(bar_prints(bars([1.7, 1.6]).assign(low=[0.5, 1.5], high=[1.799, 1.7]))) == "oo"


def test_why_a_bar_is_held() -> None:
    rows = bars([100, 1, 130, 100], [500, 500, 1, 500]).assign(high=[100, 1, 130, 300])
    prints = bar_prints(rows)
    good = screen(prints).last_good
    assert [prints.reason(t, good[t]) for t in (1, 2, 3)] == [
        "wrong_scale", "thin_market", "range_far_from_last_good",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("factor", "offers", "expected"),
    [
        (THIN * OUT, 1, "oho"),
        (THIN * IN, 1, "ooo"),
        (THIN * OUT, 2, "ooo"),
        (1.3, NAN, "ooo"),
        (SCALE * IN, 60, "ooo"),
        (SCALE * OUT, 60, "oho"),
        (0.1, NAN, "oho"),
    ],
)
def test_street_rates(factor: float, offers: float, expected: str) -> None:
    rows = pd.DataFrame({"rate": [1500, 1500 * factor, 1500], "n_offers": [60, offers, 60]})
    assert letters(street_prints(rows)) == expected


@given(st.lists(st.floats(0.5, 500), min_size=1, max_size=60), st.lists(st.integers(0, 59), max_size=5))
def test_screening_equals_the_rule_print_by_print(rates: list[float], accepted: list[int]) -> None:
    vouched = np.isin(np.arange(len(rates)), accepted)
    judged = judge(np.array(rates), accepted=vouched)
    screened = screen(as_prints(np.array(rates), vouched=vouched))
    assert screened.held.tolist() == [j.verdict is Verdict.HELD for j in judged]
    assert screened.last_good == pytest.approx([j.last_good for j in judged], rel=1e-12)
    assert screened.confirmed == tuple((i, t) for t, j in enumerate(judged) for i in j.confirms)


@given(st.lists(st.floats(20, 500), min_size=2, max_size=40), st.data())
def test_nothing_looks_ahead(closes: list[float], data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(closes)))
    whole, part = screen(bar_prints(bars(closes))), screen(bar_prints(bars(closes[:cut])))
    assert whole.held[:cut].tolist() == part.held.tolist()


def test_nothing_is_a_series_too() -> None:
    assert not screen(bar_prints(bars([]))).held.size


@pytest.mark.realdata
def test_no_recorded_hour_of_the_seven_coins_is_held(real_data: Path) -> None:
    spent = 0.0
    for path in sorted((real_data / "candles_1h").glob("*.csv.gz")):
        rows = pd.read_csv(path).drop_duplicates("ts", keep="last").sort_values("ts")
        missing = {name: NAN for name in ("volume_base", "trades") if name not in rows}
        began = time.process_time()
        held = screen(bar_prints(rows.assign(**missing))).held
        spent += time.process_time() - began
        assert len(held) > 48_000
        assert not held.any(), path.name
    assert spent < 5
