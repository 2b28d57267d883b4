"""When a tail may be shown, case by case, and what is said where it may not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.contracts.market import SeriesKind
from models.contracts.score import ScoreStatus
from models.risk.methods import Method, VarEstimate, no_estimate
from models.risk.standing import STOOD_STILL, no_history, standing
from models.volatility.panel import Grid, build_panel
from models.volatility.status import Verdict

OK = Verdict(ScoreStatus.OK)
DOUBT = Verdict(ScoreStatus.DEGRADED, ("doubt",))
NO_MODEL = Verdict(ScoreStatus.INSUFFICIENT_DATA, ("no model",))
HELD = Verdict(ScoreStatus.QUARANTINED, ("held",))
H, F, T = Method


def grid_of(days: int, held: bool = False, kind: SeriesKind = SeriesKind.CANDLES) -> Grid:
    as_of = pd.date_range("2025-01-01", periods=days, freq="D", tz="UTC")
    rows = pd.DataFrame({"series": "A", "as_of": as_of, "rv": 1e-4, "ret": 0.01, "is_held": 0.0})
    rows.loc[days - 1, "is_held"] = float(held)
    return build_panel(rows, kind).grids["A"]


def estimate_of(method: Method, sample: int = 400, number: float = 0.05, days: int = 1) -> VarEstimate:
    return VarEstimate(method, days, number, number, number, number, sample, 0, 0, 0)


@pytest.mark.parametrize(
    ("method", "said", "days", "sample", "held", "status", "counts"),
    [
        (F, OK, 400, 400, False, "ok", (None, None)),
        (H, DOUBT, 400, 400, False, "degraded", (None, None)),
        (T, HELD, 400, 400, False, "quarantined", (None, None)),
        (H, HELD, 200, 0, False, "quarantined", (None, None)),
        (H, NO_MODEL, 400, 400, False, "ok", (None, None)),
        (H, NO_MODEL, 400, 400, True, "quarantined", (None, None)),
        (F, NO_MODEL, 400, 400, False, "insufficient_data", (None, None)),
        (F, NO_MODEL, 200, 0, False, "insufficient_data", (365, 200)),
        (H, OK, 364, 363, False, "insufficient_data", (365, 364)),
        (H, OK, 365, 300, False, "ok", (None, None)),
        (H, OK, 365, 299, False, "insufficient_data", (300, 299)),
        (F, OK, 400, 299, False, "insufficient_data", (300, 299)),
    ],
)
def test_verdicts(
    method: Method,
    said: Verdict,
    days: int,
    sample: int,
    held: bool,
    status: str,
    counts: tuple[int | None, int | None],
) -> None:
    found = standing(estimate_of(method, sample), grid_of(days, held), SeriesKind.CANDLES, said)
    assert (str(found.status), (found.required, found.received)) == (status, counts)
    if status in ("ok", "degraded") and said.gives_number:
        assert found == said


def test_a_managed_rate_has_no_tail_by_history_either() -> None:
    rows = pd.DataFrame(
        {
            "series": "A", "as_of": pd.bdate_range("2022-01-01", periods=600, tz="UTC"), "rv": 1e-4, "ret": 0.01,
            "is_held": 0.0, "unchanged_share": np.r_[np.zeros(599), 0.5],
        }
    )  # fmt: skip
    grid = build_panel(rows, SeriesKind.FIXINGS).grids["A"]
    assert standing(estimate_of(H), grid, SeriesKind.FIXINGS, NO_MODEL).status is ScoreStatus.MANAGED


def test_residuals_that_stood_still_are_named() -> None:
    found = standing(estimate_of(T, 400, float("nan")), grid_of(400), SeriesKind.CANDLES, OK)
    assert (found.status, found.reasons) == (ScoreStatus.INSUFFICIENT_DATA, (STOOD_STILL,))


def test_what_is_counted_is_said_in_words() -> None:
    found = standing(estimate_of(F, 12, days=7), grid_of(400), SeriesKind.CANDLES, OK)
    assert found.reasons[0].startswith("300 known residuals over 7 days required, 12 received: enough on ")
    none = no_history(SeriesKind.RANGES, pd.Timestamp("2025-01-01", tz="UTC"))
    assert (none.required, none.received) == (500, 0)
    assert no_estimate(H, 1).sample == 0
