from __future__ import annotations

import math

import pandas as pd
import pytest

from models.timeseries.reconcile import reconcile


def days(**rates: float) -> pd.Series:
    return pd.Series({pd.Timestamp(f"2020-01-{name[1:]}"): rate for name, rate in rates.items()})


def test_only_days_on_which_both_publish_and_disagree() -> None:
    a = days(d01=100.0, d02=100.0, d03=100.0, d04=float("nan"), d06=118.0)
    b = days(d01=100.0, d02=94.0, d04=50.0, d05=1.0, d06=100.0)
    found = reconcile(a, b, tolerance=0.05)
    assert found.to_dict() == {
        pd.Timestamp("2020-01-02"): pytest.approx(math.log(100 / 94)),
        pd.Timestamp("2020-01-06"): pytest.approx(math.log(1.18)),
    }


@pytest.mark.parametrize(("ratio", "flagged"), [(1.0499, False), (1.0513, True)])
def test_both_sides_of_the_tolerance(ratio: float, flagged: bool) -> None:
    assert len(reconcile(days(d01=ratio), days(d01=1.0), tolerance=0.05)) == flagged


def test_a_day_given_twice_is_refused() -> None:
    twice = pd.concat([days(d01=1.0), days(d01=2.0)])
    with pytest.raises(ValueError, match="one rate a day"):
        reconcile(twice, days(d01=1.0))
