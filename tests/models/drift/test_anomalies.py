"""Odd bars planted in a quiet market: found, and told apart."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from models.drift.anomalies import FAR, Nature, find_anomalies, robust_z
from tests.models.drift.streams import market

DAYS = 90
HOUR = pd.Timedelta(hours=1)
AT = 70 * 24 + 5


def bars_of(returns: np.ndarray, times: pd.DatetimeIndex, volume: np.ndarray) -> pd.DataFrame:
    close = 100 * np.exp(np.cumsum(returns))
    open_ = np.concatenate([[100.0], close[:-1]])
    high, low = np.maximum(open_, close) * 1.0005, np.minimum(open_, close) * 0.9995
    return pd.DataFrame(
        {"open": open_, "high": high, "low": low, "close": close, "volume_base": volume, "trades": 100.0}, index=times
    )


def planted(at: dict[int, float], shared: bool = False, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Bars with extra returns, and the closes of three peers, which move along if `shared`."""
    stream = market(DAYS, seed)
    assert stream.volume is not None
    assert stream.peers is not None
    returns, peers = stream.returns.copy(), stream.peers.copy()
    for row, extra in at.items():
        returns[row] += extra
        peers[row] += extra if shared else 0.0
    closes = pd.DataFrame(np.exp(np.cumsum(peers, axis=0)), stream.times, columns=["a", "b", "c"])
    return bars_of(returns, stream.times, stream.volume), closes


def found_at(bars: pd.DataFrame, peers: pd.DataFrame | None, row: int = AT) -> pd.Series:
    return find_anomalies(bars, peers).loc[bars.index[row]]


@pytest.mark.parametrize(
    ("moves", "shared", "with_peers", "nature", "reason"),
    [
        pytest.param({AT: -0.2}, True, True, Nature.MARKET, "shared_by_peers", id="crash-of-all"),
        pytest.param({AT: -0.2, AT + 1: 0.2}, True, True, Nature.MARKET, "shared_by_peers", id="flash-crash-of-all"),
        pytest.param({AT: -0.2}, False, True, Nature.MARKET, "stayed", id="news-of-one"),
        pytest.param({AT: -0.2, AT + 1: 0.2}, False, True, Nature.DATA, "came_back_at_once", id="spike-of-one"),
        pytest.param({AT: 0.2, AT + 1: -0.2}, False, False, Nature.DATA, "came_back_at_once", id="nobody-to-ask"),
        pytest.param({AT: 1.5, AT + 1: -1.5}, False, True, Nature.DATA, "held_print", id="wrong-scale"),
    ],
)
def test_market_and_data_are_told_apart(
    moves: dict[int, float], shared: bool, with_peers: bool, nature: Nature, reason: str
) -> None:
    bars, peers = planted(moves, shared)
    odd = found_at(bars, peers if with_peers else None)
    assert odd["nature"] == nature
    assert reason in odd["reasons"]
    assert odd["decided_at"] <= bars.index[AT] + HOUR


def test_the_way_back_of_a_glitch_is_no_second_anomaly() -> None:
    bars, peers = planted({AT: -0.2, AT + 1: 0.2})
    assert bars.index[AT + 1] not in find_anomalies(bars, peers).index


def test_the_newest_bar_is_unconfirmed_until_the_next_has_come() -> None:
    bars, peers = planted({AT: -0.2, AT + 1: 0.2})
    assert found_at(bars.iloc[: AT + 1], peers)["nature"] == Nature.UNCONFIRMED
    assert found_at(bars.iloc[: AT + 2], peers)["nature"] == Nature.DATA


def crossed(bars: pd.DataFrame) -> None:
    bars.iloc[AT, bars.columns.get_indexer(["high", "low"])] = bars.iloc[AT][["low", "high"]].to_numpy()


def outside(bars: pd.DataFrame) -> None:
    bars.iloc[AT, bars.columns.get_loc("high")] = bars["close"].iloc[AT] * 0.999


def repeated(bars: pd.DataFrame) -> None:
    bars.iloc[AT] = bars.iloc[AT - 1]


def stepped(bars: pd.DataFrame) -> None:
    bars.iloc[AT:, :4] *= 1.05


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [(crossed, "crossed_range"), (outside, "close_outside_range"), (repeated, "repeated_bar"),
     (stepped, "step_without_deal")],
)  # fmt: skip
def test_bars_that_no_market_makes_are_the_data(spoil: Callable[[pd.DataFrame], None], reason: str) -> None:
    bars, peers = planted({})
    spoil(bars)
    odd = found_at(bars, peers)
    assert odd["nature"] == Nature.DATA
    assert reason in odd["reasons"]


def test_volume_alone_can_be_odd() -> None:
    bars, peers = planted({})
    bars.iloc[AT, bars.columns.get_loc("volume_base")] *= 1e4
    odd = found_at(bars, peers)
    assert (odd["nature"], odd["reasons"]) == (Nature.MARKET, ("far_volume",))
    assert odd["z_volume"] > FAR


def test_planted_bars_are_found_and_quiet_ones_are_not() -> None:
    quiet, planted_, caught = 0, 0, 0
    for seed in range(6):
        bars, peers = planted({}, seed=seed)
        quiet += len(find_anomalies(bars, peers))
        rows = np.arange(65 * 24, DAYS * 24 - 3, 47)  # two days apart: a planted one would be the storm of the next
        scale = float(np.median(np.abs(np.diff(np.log(bars["close"]))))) * 1.4826
        moves = {int(row): 35 * scale for row in rows}
        found = find_anomalies(*planted(moves, seed=seed)).index
        planted_, caught = planted_ + len(rows), caught + int(np.isin(bars.index[rows], found).sum())
    assert caught / planted_ >= 0.99
    assert quiet / (6 * DAYS / 30) <= 1.0


def test_each_hour_has_its_own_usual_size() -> None:
    times = pd.date_range("2024-01-01", periods=60 * 24, freq="1h", tz="UTC")
    rng = np.random.default_rng(0)
    busy = times.hour == 14
    values = rng.normal(size=len(times)) * np.where(busy, 20.0, 1.0)
    z = robust_z(values, times)
    assert np.nanmax(np.abs(z[busy])) < FAR
    values[45 * 24 + 3] = 20.0
    assert robust_z(values, times)[45 * 24 + 3] > FAR


def test_the_past_does_not_hear_of_the_future() -> None:
    times = pd.date_range("2024-01-01 07:00", periods=50 * 24, freq="1h", tz="UTC")
    values = np.random.default_rng(0).normal(size=len(times))
    changed = values.copy()
    changed[1000:] *= 9
    np.testing.assert_array_equal(robust_z(values, times)[:1000], robust_z(changed, times)[:1000])


def test_a_month_must_have_passed_and_nothing_may_stand_still() -> None:
    times = pd.date_range("2024-01-01", periods=60 * 24, freq="1h", tz="UTC")
    assert np.isnan(robust_z(np.zeros(len(times)), times)).all()
    assert np.isnan(robust_z(np.random.default_rng(0).normal(size=len(times)), times)[: 29 * 24]).all()
