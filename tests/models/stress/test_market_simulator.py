from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.stress.market_simulator import BLOCK_HOURS, COIN_TRAITS, CoinHours, MarketSimulator, hours_since_genesis
from models.stress.script import HISTORY_END, events_of, planted_events

END = int(hours_since_genesis(HISTORY_END))
FIELDS = tuple(CoinHours.__dataclass_fields__)
SEEDS = (0, 1, 2, 7, 11)


@pytest.fixture(scope="module")
def markets() -> dict[int, MarketSimulator]:
    return {seed: MarketSimulator(seed) for seed in SEEDS}


def digest(hours: CoinHours) -> str:
    return hashlib.sha256(b"".join(np.ascontiguousarray(getattr(hours, name)).tobytes() for name in FIELDS)).hexdigest()


def returns(hours: CoinHours, coin: str) -> np.ndarray:
    """Hourly log returns without the prints that the script planted as wrong."""
    close = hours.close.copy()
    for event in events_of(coin, "wrong_scale", "one_trade"):
        at = int(hours_since_genesis(event.start)) - int(hours.hour[0])
        if 0 < at < len(close):
            close[at] = close[at - 1]
    return np.diff(np.log(close))


def daily_variance(hours: CoinHours, coin: str) -> np.ndarray:
    whole = returns(hours, coin)[23:]  # from the first return that begins at midnight
    return (whole[: len(whole) // 24 * 24].reshape(-1, 24) ** 2).sum(axis=1)


def correlation(x: np.ndarray, lag: int) -> float:
    return float(np.corrcoef(x[:-lag], x[lag:])[0, 1])


def test_the_same_seed_gives_the_same_bytes_and_another_does_not() -> None:
    assert digest(MarketSimulator(5).hours("ETH", 0, 5000)) == digest(MarketSimulator(5).hours("ETH", 0, 5000))
    assert digest(MarketSimulator(5).hours("ETH", 0, 5000)) != digest(MarketSimulator(6).hours("ETH", 0, 5000))


def test_the_past_does_not_depend_on_how_far_one_looks() -> None:
    near, far = MarketSimulator(5), MarketSimulator(5)
    early = digest(near.hours("BTC", 0, 100))
    far.hours("BTC", 9000, 9100)
    assert digest(far.hours("BTC", 0, 100)) == early
    near.hours("XLM", 0, 20_000)
    assert digest(near.hours("BTC", 0, 100)) == early


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-50, 4 * BLOCK_HOURS), min_size=3, max_size=3).map(sorted))
def test_windows_join_without_seam(markets: dict[int, MarketSimulator], cuts: list[int]) -> None:
    a, b, c = cuts
    whole, left, right = (markets[7].hours("XLM", *w) for w in ((a, c), (a, b), (b, c)))
    for name in FIELDS:
        assert np.array_equal(getattr(whole, name), np.concatenate([getattr(left, name), getattr(right, name)]))


def test_a_bar_opens_where_the_last_one_closed_across_blocks(markets: dict[int, MarketSimulator]) -> None:
    bars = markets[7].hours("BTC", 0, 5 * BLOCK_HOURS)
    assert np.array_equal(bars.open[1:], bars.close[:-1])


@pytest.mark.parametrize("coin", sorted(COIN_TRAITS))
def test_bars_are_well_formed(markets: dict[int, MarketSimulator], coin: str) -> None:
    bars = markets[7].hours(coin, 0, END)
    assert np.all(bars.low > 0)
    assert np.all(bars.high >= np.maximum(bars.open, bars.close))
    assert np.all(bars.low <= np.minimum(bars.open, bars.close))
    assert np.all(bars.volume_base > 0)
    assert np.all(bars.trades >= 1)
    assert np.all(np.abs(bars.funding_rate) <= 0.003)
    assert len({len(getattr(bars, name)) for name in FIELDS}) == 1


@pytest.mark.parametrize("coin", sorted(COIN_TRAITS))
@pytest.mark.parametrize("seed", SEEDS)
def test_stylised_facts(markets: dict[int, MarketSimulator], seed: int, coin: str) -> None:
    """What real hourly coins have: fat tails, clustering that HAR terms can learn, returns that nobody can."""
    bars = markets[seed].hours(coin, 0, END)
    hourly, variance = returns(bars, coin), daily_variance(bars, coin)
    log_rv = np.log(variance)
    assert 0.3 < np.sqrt(variance.mean() * 365) < 1.2, "annual volatility"
    assert ((hourly / hourly.std()) ** 4).mean() > 8, "kurtosis; a normal has 3"
    assert 0.5 < correlation(log_rv, 1) < 0.85
    assert correlation(log_rv, 7) > 0.2
    assert abs(correlation(hourly, 1)) < 0.05
    design = np.column_stack([np.ones(len(log_rv) - 31), *(_trailing(log_rv, k) for k in (1, 7, 30))])
    target = log_rv[31:]
    fitted = design @ np.linalg.lstsq(design, target, rcond=None)[0]
    explained = 1 - ((target - fitted) ** 2).mean() / target.var()
    assert 0.35 < explained < 0.8, "R2 of HAR in logs; bitcoin has about one half"
    assert explained > correlation(log_rv, 1) ** 2 + 0.01, "slow components add to yesterday"


def _trailing(x: np.ndarray, k: int) -> np.ndarray:
    sums = np.convolve(x, np.ones(k) / k, mode="valid")  # element i is the mean of x[i .. i+k-1]
    return sums[31 - k : len(x) - k]


def test_coins_move_together(markets: dict[int, MarketSimulator]) -> None:
    moves = [returns(markets[7].hours(coin, 0, END), coin) for coin in COIN_TRAITS]
    together = np.corrcoef(moves)[np.triu_indices(3, 1)]
    assert np.all((together > 0.4) & (together < 0.9))


def test_losses_raise_volatility(markets: dict[int, MarketSimulator]) -> None:
    """Leverage: the market factor's loss and the next hours' variance, over all seeds."""
    effects = []
    for market in markets.values():
        r = returns(market.hours("BTC", 0, END), "BTC")
        after = np.convolve(r**2, np.ones(12), mode="valid")[1:]
        effects.append(np.corrcoef(np.clip(r[: len(after)], -0.03, 0.03), np.log(after))[0, 1])
    assert np.mean(effects) < -0.01


@pytest.mark.parametrize("coin", sorted(COIN_TRAITS))
@pytest.mark.parametrize("seed", SEEDS)
def test_history_ends_calm_and_then_does_not(markets: dict[int, MarketSimulator], seed: int, coin: str) -> None:
    past = daily_variance(markets[seed].hours(coin, END - 24 * 366, END), coin)
    usual_spike = np.quantile(past[-365:], 0.9)
    assert np.all(past[-5:] < usual_spike)
    assert past[-1] < 0.6 * usual_spike
    first_days = daily_variance(markets[seed].hours(coin, END - 24, END + 48), coin)
    assert first_days[-2:].max() > usual_spike


def test_planted_events_of_bars_are_there(markets: dict[int, MarketSimulator]) -> None:
    for event in planted_events():
        if event.series not in COIN_TRAITS:
            continue
        first, last = int(hours_since_genesis(event.start)), int(hours_since_genesis(event.end))
        bars = markets[7].hours(event.series, first - 1, last + 1)
        inside = slice(1, -1)
        moves = np.diff(np.log(bars.close))
        match event.kind:
            case "outage":
                assert not bars.present[inside].any()
                assert bars.present[[0, -1]].all()
            case "wrong_scale":
                assert moves[0] == pytest.approx(np.log(event.size), abs=0.1)
                assert moves[1] == pytest.approx(-np.log(event.size), abs=0.1)
            case "one_trade":
                assert bars.trades[1] == 1
                assert moves[0] > 0.3 > -0.3 > moves[1]
            case "crash":
                assert moves[0] == pytest.approx(event.size, abs=0.08)
                assert bars.present[inside].all()


def test_only_planted_hours_are_missing(markets: dict[int, MarketSimulator]) -> None:
    for coin in COIN_TRAITS:
        planted = sum((e.end - e.start).total_seconds() / 3600 for e in events_of(coin, "outage"))
        bars = markets[7].hours(coin, 0, END + 24 * 365)
        assert (~bars.present).sum() == planted


def test_years_ahead_stay_reasonable(markets: dict[int, MarketSimulator]) -> None:
    for coin, traits in COIN_TRAITS.items():
        close = markets[7].hours(coin, END, END + 24 * 365 * 4).close
        assert np.all((close > traits.price / 500) & (close < traits.price * 500))


def test_unknown_coins_are_named(markets: dict[int, MarketSimulator]) -> None:
    with pytest.raises(ValueError, match="no traits of 'DOGE'"):
        markets[7].hours("DOGE", 0, 1)
