"""Drivers and model card of a fitted bundle."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.contracts.market import SeriesKind
from models.validation.evaluation import PANEL, evaluate
from models.validation.gate import decide
from models.validation.importance import importance
from models.validation.model_card import model_card
from models.validation.plots import drivers
from models.volatility.bundle import Bundle
from models.volatility.bundle_fit import fit_bundle
from models.volatility.forecaster import USUAL_LEVEL
from models.volatility.panel import build_panel
from models.volatility.walk_forward import walk_forward
from tests.models.validation.conftest import simulated

KIND = SeriesKind.CANDLES


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return walk_forward(simulated(KIND), KIND, 1, ["ewma", "log_har", "log_har_x"])


@pytest.fixture(scope="module")
def bundle(frame: pd.DataFrame) -> Bundle:
    return fit_bundle(simulated(KIND), KIND, 1, "log_har_x", frame)


def test_the_size_of_a_driver_is_the_mean_of_its_terms(bundle: Bundle) -> None:
    table = importance(bundle, simulated(KIND)).set_index("driver")["mean_size"]
    panel = build_panel(simulated(KIND), KIND)
    terms = [
        {term.name: term.contribution for term in bundle.forecaster.terms(panel, s, len(grid) - 1)}
        for s, grid in panel.grids.items()
    ]
    assert USUAL_LEVEL not in table.index
    for driver in ("rv_1d", "market_mean"):
        assert table[driver] == pytest.approx(np.mean([abs(own[driver]) for own in terms]))
    assert table.is_monotonic_decreasing
    assert len(drivers(table.reset_index(), "log_har_x").axes[0].patches) == min(20, len(table))


def test_a_card_says_what_why_and_on_what_evidence(bundle: Bundle, frame: pd.DataFrame) -> None:
    decision, figures = decide(frame), evaluate(frame)
    card = model_card(bundle, decision, figures[figures["series"] == PANEL], {"data hash": "0a1b", "numpy": "2.4"})
    assert card.startswith("# Volatility of candles, next day: log_har_x")
    assert "3 series: AAA, BBB, CCC" in card
    for reason in decision.reasons:
        assert f"- {reason}" in card
    assert "| log_har_x |" in card
    assert "- data hash: 0a1b" in card
    assert card == model_card(
        bundle, decision, figures[figures["series"] == PANEL], {"data hash": "0a1b", "numpy": "2.4"}
    )


def test_a_card_of_a_young_market_has_no_figures(bundle: Bundle, frame: pd.DataFrame) -> None:
    assert "Too short a history to compare anything." in model_card(bundle, decide(frame), pd.DataFrame(), {})
