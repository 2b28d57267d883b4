"""The exact engine: every rule on a course short enough to be computed by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal as D

import numpy as np
import pytest

from models.backtest.bars import Bars
from models.backtest.costs import Costs, cost_rate
from models.backtest.engine import Engine, Execution, LookAhead
from models.backtest.holdings import order_to
from models.backtest.plain_strategies import ConstantMix, Hold
from models.backtest.records import BacktestRun
from models.backtest.run import run, run_fast
from models.backtest.score_strategies import ScorePolicy
from models.contracts.score import Score, ScoreStatus
from models.contracts.vault import Reason, VaultAsset, Verdict
from tests.models.backtest.worlds import FREE, ONE_COIN, THREE_LEGS, a_score, coin, follows_volatility, hourly

TEN_BPS = Execution(Costs(half_spread_bps=6.0, slippage_bps=4.0))
NO_COSTS = Execution(Costs(0.0, 0.0))
OUT_AT_1 = (a_score(0, 20.0), a_score(1, 90.0))
ON_OFF = ScorePolicy(ONE_COIN)


def reasons(result: BacktestRun) -> list[tuple[str, ...] | None]:
    return [tick.decision.reasons if tick.decision else None for tick in result.ticks]


def test_a_score_known_at_a_close_is_acted_on_at_the_next() -> None:
    result = run(ON_OFF, coin([100, 100, 50, 25, 50]), OUT_AT_1, TEN_BPS)
    # 10,000 coins of 100; wanted out at the second close, sold at the third for 50 less 10 bp.
    assert result.equity_usd.tolist() == [1_000_000, 1_000_000, 499_500, 499_500, 499_500]
    assert result.exposure.tolist() == [1, 1, 0, 0, 0]
    (trade,) = result.trades
    assert (trade.decided_bar, trade.bar, trade.planned, trade.turnover) == (1, 2, 1.0, 1.0)
    assert (trade.notional_usd, trade.cost_usd, result.cost_usd) == (500_000, 500, 500)


@pytest.mark.parametrize(("latency", "price", "bar"), [(1, 50, 2), (2, 25, 3), (3, 20, 4)])
def test_the_fill_waits_for_the_latency_and_nothing_is_decided_meanwhile(latency: int, price: int, bar: int) -> None:
    execution = replace(TEN_BPS, latency_bars=latency)
    result = run(ON_OFF, coin([100, 100, 50, 25, 20, 20]), (*OUT_AT_1, a_score(1.5, 10.0)), execution)
    assert result.trades[0].bar == bar
    assert result.trades[0].notional_usd == 10_000 * price
    assert reasons(result)[2:bar] == [(Reason.INTENT_UNRESOLVED,)] * (bar - 2)


def test_a_purchase_pays_its_costs_out_of_what_it_spends() -> None:
    scores = (a_score(0, 90.0), a_score(2, 20.0))
    result = run(ON_OFF, coin([100, 100, 100, 200, 400]), scores, TEN_BPS)
    # Sold at 100 for 999,000; at 200 all of it buys 999,000 x 0.999 / 200 coins.
    assert result.equity_usd.tolist() == pytest.approx([1e6, 999_000, 999_000, 998_001, 1_996_002])
    assert [t.cost_usd for t in result.trades] == pytest.approx([1000, 999])


@pytest.mark.parametrize("engine", [run, run_fast])
def test_purchases_shrink_alike_where_the_sales_brought_less_than_planned(engine: Callable[..., BacktestRun]) -> None:
    legs = (*THREE_LEGS.assets, VaultAsset("XLM", "XLM", D(0)))
    vault = replace(THREE_LEGS, assets=legs, limits=FREE)
    mix = ConstantMix(vault, {"USDC": D(0), "BTC": D(0), "ETH": D("0.75"), "XLM": D("0.25")})
    switch = _StartsAt(mix, {"USDC": D(0), "BTC": D(1), "ETH": D(0), "XLM": D(0)})
    bars = hourly([[1, 10, 10, 10], [1, 5, 10, 10]], ("USDC", "BTC", "ETH", "XLM"))
    result = engine(switch, bars, (), TEN_BPS)
    # Planned: a million out of BTC. It brings 499,500, which buys ETH and XLM for 499,000.5.
    assert result.equity_usd[-1] == pytest.approx(499_500 * 0.999)
    assert result.weights[-1].tolist() == pytest.approx([0, 0, 0.75, 0.25])


def test_a_leg_that_is_left_is_left_wholly() -> None:
    units, prices = {"USDC": D(0), "BTC": D(1) / D(3)}, {"USDC": D(1), "BTC": D(7)}
    order = order_to({"USDC": D(1), "BTC": D(0)}, {"USDC": D("0.1"), "BTC": D("0.9")}, units, prices, "USDC")
    assert order.sell == {"BTC": units["BTC"]}


class _StartsAt:
    """A strategy with other weights at its start."""

    def __init__(self, of: ConstantMix, start: dict[str, D]) -> None:
        self.name, self.vault, self.start, self.target, self.targets = "switch", of.vault, start, of.target, of.targets


def _with(bars: Bars, **columns: object) -> Bars:
    return replace(bars, **columns)  # type: ignore[arg-type]


def test_a_partial_fill_leaves_the_rest_where_it_was() -> None:
    bars = _with(coin([100] * 4), fill_share=np.array([1, 1, 0.25, 1]))
    result = run(ON_OFF, bars, OUT_AT_1, NO_COSTS)
    assert result.exposure.tolist() == [1, 1, 0.75, 0.75]  # one action a score: the next one goes on
    assert reasons(result)[2] == (Reason.ALREADY_DECIDED,)
    assert (result.trades[0].planned, result.trades[0].turnover) == (1.0, 0.25)
    going_on = run(ON_OFF, bars, (*OUT_AT_1, a_score(2, 90.0)), NO_COSTS)
    assert going_on.exposure.tolist() == [1, 1, 0.75, 0]


def test_a_failed_order_moves_nothing_and_does_not_start_a_cooldown() -> None:
    vault = replace(ONE_COIN, limits=replace(FREE, cooldown_s=6 * 3600))
    scores = (*OUT_AT_1, a_score(2, 90.0))
    failed = run(ScorePolicy(vault), _with(coin([100] * 4), fill_share=np.array([1, 1, 0.0, 1])), scores, NO_COSTS)
    assert failed.exposure.tolist() == [1, 1, 1, 0]
    assert failed.trades[0].notional_usd == 0
    partial = run(ScorePolicy(vault), _with(coin([100] * 4), fill_share=np.array([1, 1, 0.01, 1])), scores, NO_COSTS)
    assert partial.exposure.tolist() == [1, 1, 0.99, 0.99]
    assert reasons(partial)[2] == (Reason.COOLDOWN,)


def test_a_halt_holds_up_decisions_and_orders_that_are_due() -> None:
    halted = _with(coin([100, 100, 50, 25, 25]), halted=np.array([False, False, True, True, False]))
    sold_late = run(ON_OFF, halted, OUT_AT_1, NO_COSTS)
    assert [(t.decided_bar, t.bar) for t in sold_late.trades] == [(1, 4)]
    assert sold_late.equity_usd.tolist() == [1e6, 1e6, 5e5, 2.5e5, 2.5e5]
    at_the_decision = _with(coin([100] * 5), halted=np.array([False, True, False, False, False]))
    result = run(ON_OFF, at_the_decision, OUT_AT_1, NO_COSTS)
    assert [(t.decided_bar, t.bar) for t in result.trades] == [(2, 3)]
    assert reasons(result)[1] is None


def test_a_wider_spread_is_paid_by_fills_at_its_bar() -> None:
    wide = _with(coin([100] * 4), spread_multiplier=np.array([9.0, 9.0, 3.0, 9.0]))
    # half-spread 6 bp three times, slippage 4 bp once
    assert run(ON_OFF, wide, OUT_AT_1, TEN_BPS).cost_usd == pytest.approx(1e6 * 0.0022)
    assert run_fast(ON_OFF, wide, OUT_AT_1, TEN_BPS).cost_usd == pytest.approx(1e6 * 0.0022)


def test_during_an_outage_nothing_is_decided_but_the_rule_still_listens() -> None:
    bars = _with(coin([100] * 5), keeper_up=np.array([True, False, True, True, True]))
    result = run(ON_OFF, bars, (a_score(0, 20.0), a_score(1, 90.0), a_score(2, 75.0)), NO_COSTS)
    assert reasons(result)[1] is None
    assert result.exposure.tolist() == [1, 1, 1, 0, 0]  # 75 is inside the band: off since the outage
    sent_before = _with(coin([100] * 4), keeper_up=np.array([True, True, False, True]))
    assert run(ON_OFF, sent_before, OUT_AT_1, NO_COSTS).exposure.tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize(
    ("score", "hour", "reason"),
    [
        (None, 0, Reason.SCORE_MISSING),
        (a_score(0, 90.0, late_h=1.0, valid_h=9), 0, Reason.SCORE_MISSING),  # closed at 0, said at 1
        (a_score(0, 90.0, late_h=1.0, valid_h=9), 1, Reason.SCORE_ABOVE_ENTER),
        (a_score(0, 90.0, late_h=1.0, valid_h=9), 3, Reason.SCORE_STALE),
        (a_score(0, 90.0, valid_h=0.5), 1, Reason.SCORE_EXPIRED),
        (a_score(0, 90.0, status=ScoreStatus.DEGRADED), 0, Reason.SCORE_DEGRADED),
        (a_score(0, 90.0, imputed=0.3), 0, Reason.SCORE_DEGRADED),
        (a_score(0, None, status=ScoreStatus.QUARANTINED), 0, Reason.SCORE_MISSING),
    ],
)
def test_scores_that_are_missing_late_stale_or_not_to_be_trusted(
    score: Score | None, hour: int, reason: Reason
) -> None:
    bars = coin([100] * 5)
    cut = bars.cut(hour, 5)
    result = run(ON_OFF, cut, [score] if score else [], NO_COSTS)
    assert reason in reasons(result)[0]
    moved = reason is Reason.SCORE_ABOVE_ENTER
    assert result.exposure[1] == (0.0 if moved else 1.0)


def test_without_a_print_nothing_is_decided_and_a_fill_waits() -> None:
    gone = float("nan")
    late = run(ON_OFF, coin([100, 100, gone, 80]), OUT_AT_1, NO_COSTS)
    assert (late.trades[0].bar, late.trades[0].notional_usd) == (3, 800_000)
    assert late.equity_usd.tolist() == [1e6, 1e6, 1e6, 8e5]
    blind = run(ON_OFF, coin([100, gone, 90, 80]), OUT_AT_1, NO_COSTS)
    assert reasons(blind)[1] == (Reason.PRICE_MISSING,)
    assert (blind.trades[0].decided_bar, blind.trades[0].bar) == (2, 3)


def test_caps_and_cooldown_of_the_vault_bind() -> None:
    scores = [a_score(h, 90.0) for h in range(30)]
    flat = hourly(np.ones((30, 3)), ("USDC", "BTC", "ETH"))
    vault = replace(THREE_LEGS, limits=replace(THREE_LEGS.limits, max_step=D("0.3"), max_turnover_day=D("0.4")))
    result = run(ScorePolicy(vault), flat, scores, NO_COSTS)
    # 0.7 to sell: 0.3 at once, 0.1 after the cooldown of 6 h, the rest a day after the first.
    assert [(t.decided_bar, round(t.planned, 6)) for t in result.trades] == [(0, 0.3), (6, 0.1), (24, 0.3)]
    assert reasons(result)[1] == (Reason.COOLDOWN,)
    assert reasons(result)[12] == (Reason.TURNOVER_DAY_REACHED,)
    assert result.exposure[[0, 1, 7, 25]] == pytest.approx([0.7, 0.4, 0.3, 0.0], abs=1e-7)


def test_one_score_is_acted_on_once() -> None:
    vault = replace(THREE_LEGS, limits=replace(FREE, max_step=D("0.5"), max_score_age_s=9 * 3600))
    result = run(ScorePolicy(vault), hourly(np.ones((5, 3)), ("USDC", "BTC", "ETH")), [a_score(0, 90.0, valid_h=9)])
    assert len(result.trades) == 1
    assert reasons(result)[1] == (Reason.ALREADY_DECIDED,)
    assert result.ticks[1].decision is not None
    assert result.ticks[1].decision.verdict is Verdict.HOLD


def test_the_volatility_target_goes_through_the_same_engine() -> None:
    scores = [a_score(0, 50.0, sigma=1.0), a_score(1, 50.0, sigma=0.5)]
    result = run(ScorePolicy(follows_volatility(ONE_COIN, 0.5)), coin([100] * 4), scores, NO_COSTS)
    assert result.exposure.tolist() == [1, 0.5, 1, 1]
    assert result.strategy == "voltarget"


def test_impact_grows_with_the_square_root_of_the_trade() -> None:
    bars = coin([100] * 3)
    bars = _with(bars, sigma_day=np.full((3, 2), 0.04), depth_usd=np.full((3, 2), 4e6))
    execution = Execution(Costs(5.0, 5.0, impact_kappa=0.7))
    result = run(ON_OFF, bars, [a_score(0, 90.0)], execution)
    # 0.001 + 0.7 x 0.04 x sqrt(1e6 / 4e6) = 0.015
    assert result.trades[0].cost_usd == pytest.approx(15_000)
    with pytest.raises(ValueError, match="depth"):
        run(ON_OFF, coin([100] * 3), (), execution)


@pytest.mark.parametrize(
    ("kappa", "notional", "depth", "expected"),
    [
        (0.0, 1e6, 0.0, 0.001),  # no impact: depth is not read
        (0.7, 0.0, 0.0, 0.001),
        (0.7, 1e6, 4e6, 0.015),
        (0.7, 1e6, 0.0, 1.0),  # nothing to trade against
        (0.7, 1e12, 1.0, 1.0),  # never more than all of it
    ],
)
def test_cost_of_a_dollar(kappa: float, notional: float, depth: float, expected: float) -> None:
    assert cost_rate(0.001, kappa, notional, 0.04, depth) == pytest.approx(expected)


def test_a_depeg_of_the_stable_leg_is_a_loss() -> None:
    bars = hourly([[1, 100], [1, 100], [0.9, 100], [0.95, 100]])
    result = run(ON_OFF, bars, [a_score(0, 90.0)], NO_COSTS)
    assert result.equity_usd.tolist() == pytest.approx([1e6, 1e6, 9e5, 9.5e5])


def test_hold_never_trades() -> None:
    vault = replace(THREE_LEGS, limits=FREE)
    result = run(Hold(vault), hourly([[1, 1, 1], [1, 2, 1], [1, 2, 3]], ("USDC", "BTC", "ETH")), (), TEN_BPS)
    assert result.trades == ()
    assert result.equity_usd.tolist() == pytest.approx([1e6, 1.4e6, 2e6])
    assert result.weights[-1].tolist() == pytest.approx([0.15, 0.4, 0.45])


def test_a_constant_mix_sells_what_rose() -> None:
    mix = ConstantMix(replace(ONE_COIN, limits=FREE), {"USDC": D("0.5"), "BTC": D("0.5")})
    result = run(mix, coin([100, 200, 200, 200]), (), NO_COSTS)
    assert result.exposure.tolist() == pytest.approx([0.5, 2 / 3, 0.5, 0.5])
    assert result.equity_usd.tolist() == pytest.approx([1e6, 1.5e6, 1.5e6, 1.5e6])


@pytest.mark.parametrize("score", [a_score(1, 20.0), a_score(0, 20.0, late_h=1.0)])
def test_a_score_of_the_future_cannot_be_handed_over(score: Score) -> None:
    with pytest.raises(LookAhead, match="not known"):
        Engine(ON_OFF, NO_COSTS).step(coin([100, 100]).bar(0), score)


def test_bars_come_in_order() -> None:
    engine, bars = Engine(ON_OFF, NO_COSTS), coin([100, 100])
    engine.step(bars.bar(1), None)
    with pytest.raises(LookAhead, match="after that"):
        engine.step(bars.bar(0), None)


def test_a_decision_is_never_filled_at_its_own_close() -> None:
    with pytest.raises(ValueError, match="latency_bars"):
        Execution(latency_bars=0)


@pytest.mark.parametrize("cut", range(1, 12))
def test_another_future_leaves_the_past_as_it_was(cut: int) -> None:
    rng = np.random.default_rng(3)
    prices = 100 * np.exp(np.cumsum(rng.normal(0, 0.05, (12, 3)), axis=0))
    scores = [a_score(h, v) for h, v in enumerate(rng.uniform(40, 100, 12))]
    vault = replace(THREE_LEGS, limits=replace(THREE_LEGS.limits, cooldown_s=3600))
    symbols = ("USDC", "BTC", "ETH")
    seen = run(ScorePolicy(vault), hourly(prices, symbols), scores)
    prices[cut:] *= 7
    others: Sequence[Score] = [s if h < cut else a_score(h, 100 - (s.score or 0)) for h, s in enumerate(scores)]
    again = run(ScorePolicy(vault), hourly(prices, symbols), others)
    assert again.ticks[:cut] == seen.ticks[:cut]
    assert np.array_equal(again.equity_usd[:cut], seen.equity_usd[:cut])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"prices": np.ones((2, 3))}, "prices are"),
        ({"prices": np.array([[1.0, np.nan], [1.0, 1.0]])}, "first row"),
        ({"prices": np.array([[1.0, 1.0], [1.0, 0.0]])}, "above 0"),
        ({"close_at": np.array(["2023-01-01", "2023-01-01"], dtype="datetime64[us]")}, "strictly"),
        ({"fill_share": np.array([1.0, 1.1])}, "fill_share"),
        ({"fill_share": np.array([1.0, np.nan])}, "fill_share"),
        ({"keeper_up": np.array([True])}, "keeper_up"),
        ({"halted": np.array([True])}, "halted"),
        ({"spread_multiplier": np.array([1.0, 0.5])}, "spread_multiplier"),
        ({"spread_multiplier": np.array([1.0, np.nan])}, "spread_multiplier"),
        ({"depth_usd": -np.ones((2, 2))}, "depth_usd"),
    ],
)
def test_impossible_bars_are_refused(change: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        replace(coin([100, 100]), **change)  # type: ignore[arg-type]


def test_bars_of_other_legs_are_refused() -> None:
    with pytest.raises(ValueError, match="its legs are"):
        run(ON_OFF, hourly(np.ones((2, 2)), ("BTC", "USDC")))


def test_a_bar_that_closes_at_midnight_ends_the_day_before() -> None:
    assert np.diff(coin([1.0] * 26).days).nonzero()[0].tolist() == [0, 24]
