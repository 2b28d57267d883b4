from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.timeseries.limits import DEFAULT_LIMITS
from models.timeseries.quarantine import Verdict, good_rates, judge, unchanged_share
from models.timeseries.realised import quarantine as daily_quarantine

BREAK = 100 * math.exp(DEFAULT_LIMITS.held_log_distance)
AGREE = math.exp(DEFAULT_LIMITS.confirm_log_distance)

# rates -> one letter a print: o ok, h held, c confirming
CASES: list[tuple[str, list[float], str]] = [
    ("calm", [100, 101, 99], "ooo"),
    ("wrong scale for a day", [100, 1.0, 101], "oho"),
    ("wrong scale for two days", [100, 10, 10.1, 101], "ohho"),
    ("a real break is kept from its third print on", [199, 281, 282, 283, 284], "ohhco"),
    ("just inside", [100, BREAK * 0.9999], "oo"),
    ("just outside", [100, BREAK * 1.0001], "oh"),
    ("prints that do not agree start over", [100, 200, 300, 200, 201, 202], "ohhhhc"),
    ("agreement just inside", [100, 200, 200 * AGREE * 0.9999, 200], "ohhc"),
    ("agreement just outside", [100, 200, 200 * AGREE * 1.0001, 200], "ohhh"),
    ("a return to the old level interrupts", [100, 200, 100, 200, 201], "ohohh"),
    ("the first print is taken as good", [1.0, 100, 100, 100], "ohhc"),
]


@pytest.mark.parametrize(("rates", "letters"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_verdicts(rates: list[float], letters: str) -> None:
    assert "".join(j.verdict.value[0] for j in judge(np.array(rates))) == letters


def test_confirmation_names_what_it_confirms() -> None:
    judged = judge(np.array([199.0, 281, 282, 283]))
    assert judged[3].confirms == (1, 2)
    assert judged[2].last_good == pytest.approx(199)
    assert judged[2].log_distance == pytest.approx(math.log(282 / 199))
    assert good_rates(np.array([199.0, 281, 282, 283]), judged) == pytest.approx([199, 199, 199, 283])


def test_second_source_vouches_for_a_print() -> None:
    rates, nan = np.array([199.0, 281, 18]), float("nan")
    verdicts = [j.verdict for j in judge(rates, second=np.array([nan, 282, nan]))]
    assert verdicts == [Verdict.OK, Verdict.OK, Verdict.HELD]


def test_a_human_vouches_for_a_print() -> None:
    judged = judge(np.array([100.0, 200, 201]), accepted=np.array([False, True, False]))
    assert [j.verdict for j in judged] == [Verdict.OK] * 3


def test_judging_may_go_on_from_a_good_rate() -> None:
    rates = np.array([100.0, 101, 1.0, 101, 300])
    assert judge(rates)[2:] == judge(rates[2:], last_good=rates[1])


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_rates_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        judge(np.array([1.0, bad]))


@given(st.lists(st.floats(0.01, 1000), min_size=1, max_size=60))
def test_agrees_with_the_series_that_variance_rests_on(rates: list[float]) -> None:
    good, held = daily_quarantine(pd.Series(rates))
    judged = judge(np.array(rates))
    assert good_rates(np.array(rates), judged) == pytest.approx(good.to_numpy(), rel=1e-12)
    assert [j.verdict is Verdict.HELD for j in judged] == held.tolist()


@given(st.lists(st.floats(50, 500), min_size=2, max_size=40), st.data())
def test_nothing_looks_ahead(rates: list[float], data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(rates)))
    assert judge(np.array(rates))[:cut] == judge(np.array(rates[:cut]))


def test_unchanged_share_counts_the_window() -> None:
    rates = np.array([100.0] * 12 + [100 + i for i in range(1, 23)])
    share = unchanged_share(rates)
    assert np.isnan(share[:22]).all()
    assert share[22] == pytest.approx(11 / 22)
    assert share[33] == pytest.approx(0)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("base", "quote", "source", "days"),
    [
        ("USD", "NGN", "yahoo", ["2011-01-25", "2011-01-26", "2011-03-17", "2015-07-29", "2016-03-22", "2016-06-28",
                                 "2016-07-12", "2016-12-02", "2017-02-15", "2017-06-15", "2017-06-16", "2017-08-08",
                                 "2018-07-20"]),
        ("USD", "NGN", "cbn_official", ["2003-12-09", "2007-08-28", "2008-08-01"]),
        ("KES", "UGX", "cbk_2016_2025", ["2017-03-28"]),
        ("KES", "TZS", "cbk_rkenyaforex", ["2017-03-28"]),
        ("KES", "RWF", "cbk_2016_2025", ["2017-03-28"]),
        ("USD", "GBP", "openexchangerates_git", ["2002-07-11"]),
    ],
)  # fmt: skip
def test_recorded_errors_are_held_and_never_confirmed(
    real_data: Path, base: str, quote: str, source: str, days: list[str]
) -> None:
    table = pd.read_csv(real_data / "fx_daily.csv.gz", parse_dates=["ts"])
    rows = table[(table["base"] == base) & (table["quote"] == quote) & (table["source"] == source)]
    rates = rows.drop_duplicates("ts", keep="last").set_index("ts")["rate"].sort_index()
    rates = rates[pd.DatetimeIndex(rates.index).day_of_week < 5]
    judged = judge(rates.to_numpy())
    names = [f"{ts:%Y-%m-%d}" for ts in pd.DatetimeIndex(rates.index)]
    held = {day for day, j in zip(names, judged, strict=True) if j.verdict is Verdict.HELD}
    released = {names[i] for j in judged for i in j.confirms}
    assert set(days) <= held - released
    if source == "yahoo":
        assert {"2016-06-22", "2016-06-23"} <= released
