"""The delay curve of a market's own stream, as a table and as a picture on a page."""

from __future__ import annotations

import base64

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from models.drift.alarms import NotEnoughHistory
from models.drift.delay_curve import FACTORS, RATES, delay_curve
from models.drift.volatility import HourlyStream
from models.stress.streams import stream
from orchestration.assets import drift
from orchestration.assets.drift import drift_calibrations
from orchestration.drift.curve import as_markdown_image, curve_of, png_of
from orchestration.resources.workspace import Workspace
from tests.models.drift.streams import market
from tests.orchestration.drift.test_drift import coins, store

PLANTS = 3


def streams(days: int) -> dict[str, HourlyStream]:
    """Three coins of one market, without each other."""
    base = market(days, peers=2)
    assert base.peers is not None
    return {
        name: HourlyStream(base.times, returns, base.volume)
        for name, returns in zip(("AAA", "BBB", "CCC"), [base.returns, *base.peers.T], strict=True)
    }


@pytest.fixture(scope="module")
def long() -> dict[str, HourlyStream]:
    return streams(500)


def test_the_curve_is_that_of_the_second_half_explained_by_volume_and_the_others(long: dict[str, HourlyStream]) -> None:
    found = curve_of(long, "AAA", 7, PLANTS)
    own = long["AAA"]
    whole = HourlyStream(
        own.times, own.returns, own.volume, np.column_stack([long["BBB"].returns, long["CCC"].returns])
    )
    rng = stream(7, "drift/curve/AAA", 0)
    pd.testing.assert_frame_equal(found, delay_curve(whole, 6000, rng, explained=True, plants=PLANTS))
    assert len(found) == len(RATES) * len(FACTORS)


@pytest.mark.parametrize(
    ("days", "told"), [(119, "2856 hours of AAA are there, 2880 are the fewest"), (300, "full hours are there")]
)
def test_a_short_history_has_no_curve(days: int, told: str) -> None:
    with pytest.raises(NotEnoughHistory, match=told):
        curve_of(streams(days), "AAA", 7, PLANTS)


def test_the_training_shows_the_curve_of_one_coin(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, long: dict[str, HourlyStream]
) -> None:
    store(workspace, coins())
    monkeypatch.setattr(drift, "FEW_PLANTS", PLANTS)
    monkeypatch.setattr(drift, "market_streams", lambda *_: long)
    shown = []
    for _ in range(2):
        done = dg.materialize([drift_calibrations], resources={"workspace": workspace}, selection=[drift_calibrations])
        (event,) = done.get_asset_materialization_events()
        shown.append(event.materialization.metadata)
    assert str(shown[0]["delay_curve"].value).startswith("AAA\n\nper_quarter | threshold | false_alarms")
    assert str(shown[0]["delay_curve_plot"].value).startswith("![AAA](data:image/png;base64,")
    assert "delay_curve" not in shown[1], "nothing was calibrated anew"


def test_a_picture_travels_in_the_text(long: dict[str, HourlyStream]) -> None:
    png = png_of(curve_of(long, "BBB", 7, PLANTS), "BBB")
    shown = as_markdown_image(png, "BBB")
    assert base64.b64decode(shown.removesuffix(")").split("base64,")[1]) == png
    assert png.startswith(b"\x89PNG")
