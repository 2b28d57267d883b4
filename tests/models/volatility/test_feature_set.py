"""The stated feature set is the computed one: names, order, warm-ups, and the values of a version."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.contracts.market import SeriesKind
from models.volatility.bundle import HISTORY_DAYS
from models.volatility.design import build_design
from models.volatility.feature_set import (
    EWMA_MEMORY,
    FEATURE_SET_VERSION,
    WARM_UP_TOLERANCE,
    feature_names,
    features,
    input_columns,
)
from models.volatility.panel import build_panel
from orchestration.resources.features import PANEL_COLUMNS

KINDS = (SeriesKind.CANDLES, SeriesKind.RANGES, SeriesKind.FIXINGS, SeriesKind.VAULT)
GOLDEN = Path(__file__).parents[2] / "golden" / "feature_set.json"


@pytest.mark.parametrize("kind", KINDS)
def test_every_column_of_the_design_is_stated_in_its_order(daily: pd.DataFrame, kind: SeriesKind) -> None:
    assert build_design(build_panel(daily, kind)).names == feature_names(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_prediction_is_given_the_history_that_its_features_need(kind: SeriesKind) -> None:
    days_a_row = 1.0 if kind in (SeriesKind.CANDLES, SeriesKind.VAULT) else 7 / 5
    longest = max(feature.warm_up for feature in features(kind))
    assert longest * days_a_row < HISTORY_DAYS


@pytest.mark.parametrize("kind", KINDS)
def test_each_feature_says_what_it_is(kind: SeriesKind) -> None:
    for feature in features(kind):
        assert feature.meaning
        assert feature.unit
        assert feature.warm_up >= 1


def test_an_exponential_mean_has_forgotten_a_first_variance_a_million_times_too_high() -> None:
    assert 1e6 * 0.94**EWMA_MEMORY < WARM_UP_TOLERANCE


def test_the_inputs_are_what_is_read_from_the_warehouse() -> None:
    assert input_columns() == PANEL_COLUMNS


def test_the_same_rows_give_the_same_bytes(daily: pd.DataFrame) -> None:
    first, again = (build_design(build_panel(daily, SeriesKind.CANDLES)) for _ in range(2))
    assert {s: rows.tobytes() for s, rows in first.rows.items()} == {s: r.tobytes() for s, r in again.rows.items()}


def test_a_version_is_its_values(daily: pd.DataFrame) -> None:
    """Raise FEATURE_SET_VERSION when a column is meant to hold something else, and write the file anew with
    BALLAST_UPDATE_GOLDEN=1. Rounded: machines differ in the last digits of a logarithm."""
    design = build_design(build_panel(daily, SeriesKind.CANDLES))
    values = np.concatenate([design.rows[series] for series in sorted(design.rows)]).astype(float)
    with np.errstate(invalid="ignore"):
        found = {
            name: [int(np.isfinite(own).sum()), *(float(f"{x:.6g}") for x in _summary(own))]
            for name, own in zip(design.names, values.T, strict=True)
        }
    if os.environ.get("BALLAST_UPDATE_GOLDEN") == "1":
        document = {"version": FEATURE_SET_VERSION, "columns": found}
        GOLDEN.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert golden["version"] == FEATURE_SET_VERSION
    assert list(golden["columns"]) == list(found)
    for name, numbers in golden["columns"].items():
        assert found[name] == pytest.approx(numbers, rel=1e-4, abs=1e-6), name


def _summary(values: np.ndarray) -> list[float]:
    """Mean, spread, and a sum in which the order of the rows counts; zeros where a source has no such column."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return [0.0, 0.0, 0.0]
    return [finite.mean(), finite.std(), float(finite @ np.linspace(-1.0, 1.0, len(finite))) / len(finite)]
