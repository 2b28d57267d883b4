"""Named shocks: how often and how large they come, what they leave alone, what is refused, overrides by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from models.stress.conditions import Conditions
from models.stress.effects import Channel
from models.stress.legs import Leg, LegKind, Market, daily_sigmas, legs_named
from models.stress.shock_base import Shock, Thin
from models.stress.shock_catalogue import CATALOGUE, DEFAULT_SHOCKS, HALVES, shock_named
from models.stress.shocks import (
    Depeg,
    Devaluation,
    FundingSqueeze,
    Gap,
    Liquidity,
    Outage,
    StreetPremium,
    VolatilitySpike,
    inject,
)

LEGS = (
    Leg("BTC", LegKind.COIN, 0.04),
    Leg("XLM", LegKind.COIN, 0.05),
    Leg("cNGN", LegKind.FX, 0.01, "NGN"),
    Leg("cKES", LegKind.FX, 0.01, "KES"),
    Leg("USDC", LegKind.STABLE),
)
# Steps so short that two events in one hardly ever happen: then struck steps count events.
MARKET = Market(LEGS, 365.0 * 96)
STEPS = 96 * 73  # a fifth of a year
PATHS = 400


def events_of(shock: Shock, leg: int, seed: int = 5) -> tuple[int, NDArray[np.float64]]:
    """How many steps of all paths this shock strikes in this leg, and the log returns there."""
    log_return = inject([shock], MARKET, PATHS, STEPS, seed).log_return[..., leg]
    struck = log_return[log_return != 0.0]
    return len(struck), struck


@pytest.mark.parametrize(
    ("shock", "leg"),
    [(Gap(thin=None), 0), (Devaluation(thin=None), 2), (Devaluation(thin=None), 3), (Depeg(half_life_days=1e-4), 4)],
)
def test_events_come_as_often_as_their_rate_says(shock: Shock, leg: int) -> None:
    count, _ = events_of(shock, leg)
    if isinstance(shock, Depeg):
        count //= 2  # the fall, and at the next step the way back
    mean = shock.rate_per_year * PATHS / 5.0
    low, high = stats.binom.interval(0.999, PATHS * STEPS, mean / (PATHS * STEPS))
    assert low <= count <= high


def test_times_are_spread_evenly_and_numbers_are_poisson() -> None:
    struck = inject([Gap(rate_per_year=10.0, thin=None)], MARKET, PATHS, STEPS, 2).log_return[..., 0] != 0.0
    assert stats.kstest((np.nonzero(struck)[1] + 0.5) / STEPS, "uniform").pvalue > 0.001
    numbers = struck.sum(axis=1)  # of mean 2 on each path, so of variance 2
    assert abs(numbers.var() - 2.0) < 5.0 * np.sqrt(10.0 / PATHS)  # (mu4 - var^2) / n = (2 + 3 * 4 - 4) / n


def test_sizes_have_the_law_that_is_promised() -> None:
    _, gaps = events_of(Gap(rate_per_year=20.0, thin=None), 0)
    sigmas = -gaps / 0.04
    assert sigmas.min() >= 5.0
    assert stats.kstest((sigmas - 5.0) / 10.0, stats.lomax(3.0).cdf).pvalue > 0.001
    _, falls = events_of(Devaluation(rate_per_year=20.0, thin=None), 2)
    rises = np.expm1(-falls)
    assert stats.kstest(rises, stats.lognorm(np.log(2.5) / stats.norm.ppf(0.95), scale=0.2).cdf).pvalue > 0.001


def test_a_gap_strikes_all_coins_at_once_by_their_own_sigmas() -> None:
    log_return = inject([Gap(thin=None)], MARKET, 200, STEPS, 1).log_return
    np.testing.assert_allclose(log_return[..., 1], log_return[..., 0] * 0.05 / 0.04, rtol=1e-12)
    assert not log_return[..., 2:].any()


def test_countries_devalue_one_by_one() -> None:
    struck = inject([Devaluation(rate_per_year=20.0, thin=None)], MARKET, 200, STEPS, 1).log_return != 0.0
    assert struck[..., 2].sum() > 300
    assert (struck[..., 2] & struck[..., 3]).sum() < 10
    assert not struck[..., [0, 1, 4]].any()


def test_two_tokens_of_one_money_devalue_together() -> None:
    twins = Market((Leg("cNGN", LegKind.FX, 0.01, "NGN"), Leg("NGNC", LegKind.FX, 0.02, "NGN")), 365.0)
    log_return = inject([Devaluation(rate_per_year=5.0)], twins, 50, 100, 1).log_return
    assert log_return.any()
    np.testing.assert_array_equal(log_return[..., 0], log_return[..., 1])


def test_the_market_is_thin_after_every_gap_and_for_as_long_as_said() -> None:
    days = Market(LEGS, 365.0)
    conditions = inject([Gap(rate_per_year=2.0, thin=Thin(days=(2.0, 2.0)))], days, 300, 100, 3)
    path, step = np.nonzero(conditions.log_return[:, :98, 0])
    assert len(path) > 100
    for later in (0, 1):
        assert (conditions.half_spread_multiplier[path, step + later] >= 3.0).all()
        assert (conditions.depth_share[path, step + later] <= 0.5).all()
    thin = conditions.half_spread_multiplier > 1.0
    assert thin.sum() <= 2 * np.count_nonzero(conditions.log_return[..., 0])
    assert conditions.half_spread_multiplier.max() <= 20.0
    assert conditions.depth_share.min() >= 0.05


@pytest.mark.parametrize(
    ("shock", "field", "low", "high", "mean_days"),
    [
        (Liquidity(rate_per_year=20.0), "half_spread_multiplier", 3.0, 20.0, 3.0),
        (Liquidity(rate_per_year=20.0), "depth_share", 0.05, 0.5, 3.0),
        (Outage(rate_per_year=20.0), "halted", 1.0, 1.0, 2.0),
        (replace(CATALOGUE["feed_outage"], rate_per_year=50.0), "score_stale", 1.0, 1.0, 5.5 / 24),
        (replace(CATALOGUE["keeper_outage"], rate_per_year=50.0), "halted", 1.0, 1.0, 13 / 24),
    ],
)
def test_what_lasts_lasts_as_long_as_its_mean(
    shock: Shock, field: str, low: float, high: float, mean_days: float
) -> None:
    values = getattr(inject([shock], MARKET, PATHS, STEPS, 4), field).astype(float)
    struck = values != (1.0 if field in ("half_spread_multiplier", "depth_share") else 0.0)
    assert low <= values[struck].min()
    assert values[struck].max() <= high
    # a moment is free of a shock as often as no event of a Poisson process began within its length before it
    expected = -np.expm1(-shock.rate_per_year * mean_days / 365.0)
    assert abs(struck[:, STEPS // 4 :].mean() / expected - 1.0) < 0.12


def test_volatility_spikes_begin_within_their_bounds_and_only_fade() -> None:
    multiplier = inject([VolatilitySpike(rate_per_year=1.0)], MARKET, PATHS, STEPS, 4).sigma_multiplier
    rises = np.diff(multiplier, axis=1, prepend=1.0) > 0.0
    assert multiplier[rises].min() >= 2.0
    assert multiplier.max() <= 5.0
    rate = rises.sum() / (PATHS / 5.0)
    assert abs(rate - 1.0) < 4.0 / np.sqrt(PATHS / 5.0)


def test_funding_is_paid_as_often_as_received() -> None:
    funding = inject([FundingSqueeze(rate_per_year=20.0)], MARKET, PATHS, STEPS, 4).funding
    ends = funding[:, -1]
    ends = ends[ends != 0.0]
    assert stats.binomtest(int((ends > 0).sum()), len(ends)).pvalue > 0.001


def test_a_depeg_and_a_premium_come_back() -> None:
    days = Market(LEGS, 365.0)
    for shock, leg, deepest in ((Depeg("d", 0.5), 4, 0.15), (StreetPremium("p", 0.5), 2, 0.2 / 1.2)):
        log_return = inject([shock], days, 300, 500, 6).log_return[..., leg]
        level = np.exp(np.cumsum(log_return, axis=1))
        first = np.argmax(log_return != 0.0, axis=1)
        struck = log_return.any(axis=1) & (first < 300)
        once = struck & ((log_return < 0.0).sum(axis=1) == 1)
        assert once.sum() > 50
        fall = 1.0 - level[once, first[once]]
        assert fall.max() <= deepest
        half = int(shock.half_life_days)  # type: ignore[attr-defined]
        later = level[once, first[once] + half]
        part = (1.0 - later) / fall if leg == 4 else (1.0 / later - 1.0) / (1.0 / (1.0 - fall) - 1.0)
        np.testing.assert_allclose(part, 0.5, rtol=1e-9)


def test_a_shock_that_is_left_out_changes_no_other() -> None:
    everything = inject(DEFAULT_SHOCKS, MARKET, 20, 2000, 8)
    without = inject([shock for shock in DEFAULT_SHOCKS if shock.name != "gap"], MARKET, 20, 2000, 8)
    alone = inject([Gap()], MARKET, 20, 2000, 8)
    np.testing.assert_allclose(everything.log_return, without.log_return + alone.log_return, atol=1e-15)
    np.testing.assert_array_equal(everything.depth_share, np.minimum(without.depth_share, alone.depth_share))
    assert everything.funding.tobytes() == without.funding.tobytes()


def test_more_legs_change_no_leg() -> None:
    fewer = inject(DEFAULT_SHOCKS, Market(LEGS[:3], 8760.0), 30, 500, 8)
    more = inject(DEFAULT_SHOCKS, Market(LEGS, 8760.0), 30, 500, 8)
    assert fewer.log_return.tobytes() == np.ascontiguousarray(more.log_return[..., :3]).tobytes()


def test_a_rate_of_zero_and_a_market_without_such_legs_are_neutral() -> None:
    stable = Market((Leg("USDC", LegKind.STABLE),), 365.0)
    for conditions in (
        inject([replace(shock, rate_per_year=0.0) for shock in DEFAULT_SHOCKS], MARKET, 3, 50, 0),
        inject([Gap(), Devaluation(), StreetPremium()], stable, 3, 50, 0),
    ):
        assert isinstance(conditions, Conditions)
        assert not conditions.log_return.any()
        assert (conditions.depth_share == 1.0).all()
        assert not conditions.halted.any()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Gap(rate_per_year=-1.0), r"gap.rate_per_year must lie in \[0, 366\], got -1.0: 0 switches"),
        (lambda: Gap(rate_per_year=float("nan")), "gap.rate_per_year"),
        (lambda: Gap(alpha=0.5), "gap.alpha must lie in"),
        (lambda: Gap(thin=Thin(depth=(0.0, 0.5))), "gap.thin.depth must be"),
        (lambda: Devaluation(q95_rise=0.1), "devaluation.q95_rise must lie in"),
        (lambda: VolatilitySpike(multiplier=(5.0, 2.0)), "volatility_spike.multiplier must .* the smaller one"),
        (lambda: VolatilitySpike(half_life_days=0.0), "volatility_spike.half_life_days"),
        (lambda: Liquidity(thin=Thin(half_spread=(0.5, 2.0))), "liquidity.thin.half_spread"),
        (lambda: FundingSqueeze(days=(1.0, 9999.0)), "funding_squeeze.days"),
        (lambda: Depeg(fall=(0.1, 1.0)), "depeg.fall"),
        (lambda: Outage(channel=Channel.FALL), "halt.channel must be HALT or STALE"),
        (lambda: Outage(name=""), "a shock has no name"),
        (lambda: inject([Gap(), Gap()], MARKET, 1, 1, 0), "rename gap"),
        (lambda: inject([Gap()], Market((Leg("BTC", LegKind.COIN),), 365.0), 1, 1, 0), "give BTC a sigma_daily"),
        (lambda: Leg("", LegKind.COIN), "leg.symbol is empty"),
        (lambda: Leg("BTC", LegKind.COIN, -0.1), "leg.sigma_daily of BTC"),
        (lambda: Market((), 365.0), "market.legs is empty"),
        (lambda: Market((LEGS[0], LEGS[0]), 365.0), "holds a symbol twice"),
        (lambda: Market(LEGS, 0.0), "market.steps_per_year must lie between"),
        (lambda: shock_named("meteor"), "there is no shock 'meteor': one of capped_source, depeg"),
        (lambda: shock_named("gap", {"size": 1.0}), "gap has no field 'size' to be changed: one of rate_per_year"),
        (lambda: shock_named("halt", {"channel": 1}), "halt has no field 'channel'"),
        (lambda: shock_named("gap", {"alpha": "three"}), "gap.alpha must be a number, got 'three'"),
        (lambda: shock_named("gap", {"alpha": True}), "gap.alpha must be a number"),
        (lambda: shock_named("gap", {"alpha": 10**400}), "gap.alpha must be a number below 1e308"),
        (lambda: shock_named("depeg", {"fall": [0.1, 10**400]}), "depeg.fall must be a number below 1e308"),
        (lambda: shock_named("depeg", {"fall": 0.1}), r"depeg.fall must be two numbers \[least, most\]"),
        (lambda: shock_named("depeg", {"fall": [0.1, 0.2, 0.3]}), "depeg.fall must be two numbers"),
        (lambda: shock_named("gap", {"thin": 3}), "gap.thin must be its fields by name, or null for none"),
        (lambda: shock_named("gap", {"thin": {"width": 1}}), "gap.thin has no field 'width'"),
        (lambda: shock_named("liquidity", {"thin": None}), "liquidity.thin is all that this shock does"),
    ],
)  # fmt: skip
def test_what_is_refused_and_how(call: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()


def test_overrides_by_name() -> None:
    changed = shock_named("gap", {"rate_per_year": 4, "thin": {"days": [1, 2]}})
    assert changed == Gap(rate_per_year=4.0, thin=Thin(days=(1.0, 2.0)))
    assert shock_named("gap", {"thin": None}) == Gap(thin=None)
    assert shock_named("depeg", {"fall": [0.02, 0.02]}) == Depeg(fall=(0.02, 0.02))
    assert all(shock_named(shock.name) is not None for shock in (*DEFAULT_SHOCKS, *HALVES))


def test_halves_of_the_liquidity_shock_do_one_thing() -> None:
    spread, drought = (inject([shock], MARKET, 100, STEPS, 1) for shock in HALVES)
    assert (spread.half_spread_multiplier > 1.0).any()
    assert (spread.depth_share == 1.0).all()
    assert (drought.half_spread_multiplier == 1.0).all()
    assert (drought.depth_share < 1.0).any()


def test_sigmas_and_legs_from_a_sample() -> None:
    returns = np.array([[0.01, np.nan], [-0.01, 0.02], [0.01, 0.02]])
    np.testing.assert_allclose(daily_sigmas(returns, 365.0), [0.01, 0.02])
    np.testing.assert_allclose(daily_sigmas(returns, 8760.0), [0.01 * 24**0.5, 0.02 * 24**0.5])
    np.testing.assert_allclose(daily_sigmas(returns, 252.0), [0.01, 0.02])
    with pytest.raises(ValueError, match=r"assets \[0\] have no return"):
        daily_sigmas(np.full((3, 1), np.nan), 365.0)
    assert legs_named(["BTC", "cNGN"], [LegKind.COIN, LegKind.FX], [0.04, 0.01]) == (LEGS[0], LEGS[2])
