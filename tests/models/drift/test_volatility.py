"""The detector of volatility drift: what planted drifts and quiet data make of it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from models.drift import volatility
from models.drift.alarms import NotEnoughHistory
from models.drift.delay_curve import delay_curve, first_above
from models.drift.plots import delay_against_false_alarms
from models.drift.volatility import EDGES_H, HISTORY_H, HourlyStream, VolatilityDetector
from tests.models.drift.streams import market

STREAM = market(1100)
SPLIT = 700 * 24


@pytest.fixture(scope="module")
def detector() -> VolatilityDetector:
    return volatility.fit(STREAM.rows(0, SPLIT), 0.5, np.random.default_rng(0), explained=True)


def test_block_logarithms_by_hand() -> None:
    size = np.arange(1.0, HISTORY_H + 1)
    blocks = volatility._blocks(size)
    assert np.isnan(blocks[-2]).any()  # one hour short of the oldest block
    assert blocks[-1, 0] == pytest.approx(np.log(np.mean(size[-6:]) + 0.05))
    assert blocks[-1, -1] == pytest.approx(np.log(np.mean(size[:720]) + 0.05))


@pytest.mark.parametrize(("missing", "known"), [(1, True), (2, False)])
def test_a_block_needs_three_quarters_of_its_hours(missing: int, known: bool) -> None:
    size = np.ones(HISTORY_H)
    size[-missing:] = np.nan
    assert np.isfinite(volatility._blocks(size)[-1]).all() == known


def test_a_contrast_answers_one_for_one_to_its_own_drift_and_not_to_the_level(detector: VolatilityDetector) -> None:
    blocks = len(EDGES_H) - 1
    for group in range(3):  # returns, volume, peers
        part = detector.weights[group * blocks : (group + 1) * blocks]
        assert np.abs(part.sum(axis=0)).max() < 1e-2 * np.abs(part).max()


def test_the_level_and_the_unit_do_not_matter(detector: VolatilityDetector) -> None:
    other = HourlyStream(STREAM.times, STREAM.returns * 5, STREAM.volume * 1e6, STREAM.peers)  # type: ignore[operator]
    again = volatility.fit(other.rows(0, SPLIT), 0.5, np.random.default_rng(0), explained=True)
    assert again.threshold.value == pytest.approx(detector.threshold.value, rel=1e-9)


@pytest.mark.parametrize(("factor", "within_h", "share"), [(2.0, 120, 0.9), (3.0, 48, 0.9)])
def test_planted_drifts_are_found(detector: VolatilityDetector, factor: float, within_h: int, share: float) -> None:
    moments = np.random.default_rng(5).integers(SPLIT, len(STREAM.returns) - 720, 40)
    delays = []
    for moment in moments.tolist():
        window = STREAM.rows(moment - HISTORY_H, moment + 720).scaled(factor, HISTORY_H)
        path = volatility.statistic(detector, window)[HISTORY_H:]
        delays.append(int(first_above(path[None], detector.threshold.value)[0]))
    assert np.mean(np.array(delays) <= within_h) >= share


def test_quiet_data_is_quiet(detector: VolatilityDetector) -> None:
    quiet = STREAM.rows(SPLIT - HISTORY_H, len(STREAM.returns))
    quarters = (len(STREAM.returns) - SPLIT) / 24 / 91.3
    assert len(volatility.alarms(detector, quiet)) / quarters <= 1.0


def test_a_storm_over_the_whole_market_is_no_drift_of_one_stream(detector: VolatilityDetector) -> None:
    start = SPLIT + 2000
    window = STREAM.rows(start - HISTORY_H, start + 240)
    storm = window.scaled(2.0, HISTORY_H)
    peers, volume = window.peers.copy(), window.volume.copy()  # type: ignore[union-attr]
    peers[HISTORY_H:] *= 2.0
    volume[HISTORY_H:] *= 2.0
    shared = replace(storm, peers=peers, volume=volume)
    alone = volatility.statistic(detector, storm)[HISTORY_H:].max()
    common = volatility.statistic(detector, shared)[HISTORY_H:].max()
    assert common < 0.6 * alone


def test_the_past_does_not_hear_of_the_future(detector: VolatilityDetector) -> None:
    before = volatility.statistic(detector, STREAM.rows(0, SPLIT))
    changed = volatility.statistic(detector, STREAM.scaled(7.0, SPLIT))[:SPLIT]
    np.testing.assert_array_equal(before, changed)


def test_a_stored_detector_says_the_same(detector: VolatilityDetector) -> None:
    again = volatility.from_document(json.loads(json.dumps(volatility.as_document(detector))))
    part = STREAM.rows(SPLIT - HISTORY_H, SPLIT + 100)
    np.testing.assert_array_equal(volatility.statistic(again, part), volatility.statistic(detector, part))
    assert again.threshold == detector.threshold


@pytest.mark.parametrize(
    ("stream", "explained", "why"),
    [
        pytest.param(STREAM.rows(0, 200 * 24), False, "full hours", id="short"),
        pytest.param(HourlyStream(STREAM.times, STREAM.returns), True, "neither traded volume", id="nothing-to-ask"),
        pytest.param(HourlyStream(STREAM.times, np.zeros(len(STREAM.times))), False, "never moved", id="flat"),
    ],
)
def test_what_cannot_be_fitted_says_why(stream: HourlyStream, explained: bool, why: str) -> None:
    with pytest.raises(NotEnoughHistory, match=why):
        volatility.fit(stream, 1.0, np.random.default_rng(0), explained=explained)


def test_without_its_companions_the_detector_knows_nothing(detector: VolatilityDetector) -> None:
    alone = HourlyStream(STREAM.times, STREAM.returns)
    assert np.isnan(volatility.statistic(detector, alone.rows(0, 2000))).all()


def test_the_curve_trades_delay_for_false_alarms() -> None:
    curve = delay_curve(STREAM, SPLIT, np.random.default_rng(0), explained=True, rates=(0.5, 4.0), plants=20)
    assert list(curve["factor"]) == [1.5, 2.0, 3.0] * 2
    for _, part in curve.groupby("per_quarter"):
        assert part["median_h"].is_monotonic_decreasing
    strict, loose = (part.set_index("factor") for _, part in curve.groupby("per_quarter"))
    assert (loose["median_h"] <= strict["median_h"]).all()
    assert (loose["false_alarms"] >= strict["false_alarms"]).all()
    figure = delay_against_false_alarms(curve, "a coin")
    assert len(figure.axes[0].lines) == 3 + 2


def test_a_curve_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="leave no room"):
        delay_curve(STREAM.rows(0, SPLIT + 100), SPLIT, np.random.default_rng(0), explained=True)
