"""When an expired score is worth a word, and whether every number is explained."""

from __future__ import annotations

import math
from datetime import timedelta

import dagster as dg
import pytest

from models.contracts.market import Calendar, DataMode, Dataset, SeriesKind, SeriesSpec
from orchestration.checks.score_checks import attributed, fresh
from orchestration.resources.workspace import Workspace
from tests.orchestration.conftest import NOW

BTC = SeriesSpec("BTC", Dataset.CANDLES, SeriesKind.CANDLES, Calendar.ALWAYS, "1h", 3600, 7200, "BTC", "USDT", "t")


@pytest.mark.parametrize(
    ("valid_for_h", "data_ended", "leg_ended", "passed"),
    [
        (1, False, False, True),
        (-1, False, False, False),
        (-1, True, False, True),
        (-1, False, True, True),
    ],
    ids=["fresh", "expired", "the-data-ended", "a-leg-ended"],
)
def test_only_scores_of_living_data_are_missed(
    workspace: Workspace, valid_for_h: int, data_ended: bool, leg_ended: bool, passed: bool
) -> None:
    house = workspace.warehouse
    house.upsert_series([BTC], DataMode.SIMULATED)
    house.append_table(
        "ops.freshness",
        [
            {
                "dataset": "candles", "series": "BTC", "interval": "1h", "newest_ts": NOW, "newest_available_at": NOW,
                "age_s": 0, "max_age_s": 7200, "stale": data_ended, "stalled_by": None, "checked_at": NOW,
            }
        ],
    )  # fmt: skip
    house.append_table(
        "risk.scores",
        [
            {
                "subject": "vault:mixed" if leg_ended else "BTC", "subject_kind": "vault" if leg_ended else "series",
                "horizon_days": 1, "as_of": NOW, "issued_at": NOW, "valid_until": NOW + timedelta(hours=valid_for_h),
                "status": "stale", "reasons": [], "model_name": "m", "model_version": "1", "data_mode": "simulated",
                "share_imputed": 0.0, "share_stale": 0.5 if leg_ended else 0.0, "degraded": False, "drivers": [],
            }
        ],
    )  # fmt: skip
    found = fresh(dg.build_asset_check_context(), workspace)
    assert isinstance(found, dg.AssetCheckResult)
    assert found.passed is passed


def with_drivers(contributions: list[float], rv_forecast: float | None = 4e-4) -> dict[str, object]:
    has_number = rv_forecast is not None
    return {
        "subject": "BTC", "subject_kind": "series", "horizon_days": 1, "as_of": NOW, "issued_at": NOW,
        "valid_until": NOW, "status": "ok" if has_number else "managed", "reasons": [], "rv_forecast": rv_forecast,
        "score": 50.0 if has_number else None, "model_name": "m", "model_version": "1", "data_mode": "simulated",
        "share_imputed": 0.0, "share_stale": 0.0, "degraded": False,
        "drivers": [{"name": f"t{n}", "value": None, "contribution": c} for n, c in enumerate(contributions)],
    }  # fmt: skip


LN = math.log(4e-4)


@pytest.mark.parametrize(
    ("rows", "covered", "offender"),
    [
        ([with_drivers([LN - 0.4, 0.4])], 100.0, None),
        ([with_drivers([LN - 0.4, 0.4 + 9e-7])], 100.0, None),
        ([with_drivers([LN - 0.4, 0.4 + 2e-6])], 0.0, "off by 2e-06"),
        ([with_drivers([])], 0.0, "no drivers"),
        ([with_drivers([], None)], 100.0, None),  # no number, nothing to explain
        ([with_drivers([LN]), with_drivers([LN, 1.0]) | {"subject": "ETH"}], 50.0, "ETH 1 d"),
    ],
    ids=["exact", "within", "beyond", "none", "no-number", "half"],
)
def test_every_number_is_explained(
    workspace: Workspace, rows: list[dict[str, object]], covered: float, offender: str | None
) -> None:
    workspace.warehouse.append_table("risk.scores", rows)
    found = attributed(dg.build_asset_check_context(), workspace)
    assert isinstance(found, dg.AssetCheckResult)
    assert found.passed is (offender is None)
    assert found.metadata["covered_percent"].value == pytest.approx(covered)
    assert (offender or "") in str(found.metadata["offenders"].value)
