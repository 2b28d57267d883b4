"""The compiled twin of the engine: equal to the exact one on random courses, and caught where it looks ahead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal as D

import numpy as np
import pytest

import models.backtest.run as fast_path
from models.backtest.bars import Bars
from models.backtest.costs import Costs
from models.backtest.engine import Execution
from models.backtest.mixes import at_exposure, equal_risky
from models.backtest.parity import differences
from models.backtest.plain_strategies import ConstantMix, Hold, Rebalanced, inverse_volatility
from models.backtest.records import BacktestRun
from models.backtest.run import run, run_fast, run_targets
from models.backtest.score_strategies import ScorePolicy
from models.backtest.strategy import FloatTargets, Moment, Strategy
from models.backtest.tape import ScoreTape
from models.contracts.score import Score, ScoreStatus
from models.contracts.vault import PolicyName, Target, VaultAsset, VaultConfig, VaultLimits
from tests.models.backtest.worlds import a_score, follows_volatility, hourly

HOURS = 160
TWO_STABLE = (
    VaultAsset("BTC", "BTC", D("0.45")),
    VaultAsset("USDC", None, D("0.15"), stable=True),
    VaultAsset("ETH", "ETH", D("0.3")),
    VaultAsset("EURC", None, D("0.1"), stable=True),
)
SYMBOLS = tuple(asset.symbol for asset in TWO_STABLE)


@dataclass(frozen=True)
class Case:
    vault: VaultConfig
    bars: Bars
    scores: list[Score]
    execution: Execution


def a_case(seed: int) -> Case:
    """Random prices with holes, scores with holes, delays and doubts, outages, partial and failed fills, limits."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, [0.02, 0.001, 0.03, 0.001], (HOURS, 4))
    prices = [100, 1, 10, 1.1] * np.exp(np.cumsum(steps, axis=0))
    prices[1:][rng.random((HOURS - 1, 4)) < 0.02] = np.nan
    bars = replace(
        hourly(prices, SYMBOLS),
        keeper_up=rng.random(HOURS) > 0.1,
        fill_share=rng.choice([1.0, 1.0, 1.0, 0.4, 0.0], HOURS),
        sigma_day=rng.uniform(0.01, 0.1, (HOURS, 4)),
        depth_usd=rng.uniform(1e5, 1e7, (HOURS, 4)),
        halted=rng.random(HOURS) < 0.05,
        spread_multiplier=rng.choice([1.0, 1.0, 4.0, 20.0], HOURS),
    )
    scores = [
        a_score(
            hour,
            rng.choice([None, 70.0, 79.5, 80.0, 69.9, 80.1]) if rng.random() < 0.4 else rng.uniform(40, 100),
            None if rng.random() < 0.05 else rng.uniform(0.1, 1.5),
            late_h=rng.choice([0.0, 0.0, 0.5, 3.0]),
            valid_h=rng.choice([0.5, 2.0, 9.0]),
            status=ScoreStatus.DEGRADED if rng.random() < 0.05 else ScoreStatus.OK,
            imputed=rng.choice([0.0, 0.25, 0.3]),
        )
        for hour in range(-3, HOURS)
        if rng.random() < 0.7
    ]
    limits = VaultLimits(
        dead_zone=D(str(rng.choice([0.001, 0.02, 0.1]))),
        max_step=D(str(rng.choice([0.2, 0.5, 1.0]))),
        max_turnover_day=D(str(rng.choice([0.4, 1.0, 24.0]))),
        cooldown_s=int(rng.choice([0, 3600, 6 * 3600])),
        max_score_age_s=int(rng.choice([0, 7200, 20_000])),
    )
    costs = Costs(rng.uniform(0, 20), rng.uniform(0, 20), rng.choice([0.0, 0.7]))
    execution = Execution(costs, int(rng.integers(1, 4)), D(str(rng.choice([1e4, 1e6]))))
    return Case(VaultConfig("mixed", "devnet", None, TWO_STABLE, limits, PolicyName.ON_OFF), bars, scores, execution)


def guarded(case: Case, seed: int) -> Case:
    """The same case with every further limit of a vault on, each loose or tight at random."""
    rng = np.random.default_rng(1000 + seed)
    capital = case.execution.capital_usd
    longest = case.vault.limits.cooldown_s
    limits = replace(
        case.vault.limits,
        dwell_scores=int(rng.integers(1, 4)),
        cooldown_reduce_s=(None, 0, longest // 2)[int(rng.integers(0, 3))],
        min_benefit=float(rng.choice([0.0, 0.5, 2.0])),
        cost_bps=int(rng.choice([10, 40])),
        cost_usd=D(str(rng.choice([0.25, 20.0]))),
        max_action_usd=rng.choice([None, capital * D("0.15"), capital * D("0.001")]),
        max_day_usd=rng.choice([None, capital * D("0.4")]),
    )
    return replace(case, vault=replace(case.vault, limits=limits))


STRATEGIES: dict[str, Callable[[VaultConfig], Strategy]] = {
    "onoff": ScorePolicy,
    "voltarget": lambda vault: ScorePolicy(follows_volatility(vault)),
    "hold": Hold,
    "constant mix": lambda vault: ConstantMix(vault, at_exposure(vault, 0.6)),
    "1/N": lambda vault: ConstantMix(vault, equal_risky(vault)),
    "inverse volatility": lambda vault: Rebalanced(vault, inverse_volatility, 25, 12, "inverse_volatility"),
}


def assert_equal(fast: BacktestRun, exact: BacktestRun) -> None:
    assert [(t.decided_bar, t.bar, t.fill_share) for t in fast.trades] == [
        (t.decided_bar, t.bar, t.fill_share) for t in exact.trades
    ]
    np.testing.assert_allclose(fast.equity_usd, exact.equity_usd, rtol=1e-6)
    np.testing.assert_allclose(fast.weights, exact.weights, atol=2e-6)
    np.testing.assert_allclose(fast.exposure, exact.exposure, atol=2e-6)
    for name in ("planned", "turnover", "notional_usd", "cost_usd"):
        seen, expected = ([getattr(trade, name) for trade in part.trades] for part in (fast, exact))
        np.testing.assert_allclose(seen, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("seed", range(6))
def test_equal_to_the_exact_engine(name: str, seed: int) -> None:
    case = a_case(seed)
    strategy = STRATEGIES[name](case.vault)
    exact = run(strategy, case.bars, case.scores, case.execution)
    assert_equal(run_fast(strategy, case.bars, case.scores, case.execution), exact)


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("seed", range(8))
def test_equal_to_the_exact_engine_under_every_limit(name: str, seed: int) -> None:
    case = guarded(a_case(seed), seed)
    strategy = STRATEGIES[name](case.vault)
    exact = run(strategy, case.bars, case.scores, case.execution)
    assert_equal(run_fast(strategy, case.bars, case.scores, case.execution), exact)


LIMITS_OFF = {
    "dwell": {"dwell": 1},
    "own cooldown": {"cooldown_reduce_us": -1},
    "benefit": {"min_benefit": 0.0},
    "transaction cost": {"cost_usd": 0.0},
    "dollars an action": {"max_action_usd": np.inf},
    "dollars a day": {"max_day_usd": np.inf},
}


@pytest.mark.parametrize("name", LIMITS_OFF)
def test_a_twin_that_forgets_a_limit_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = fast_path.limits_of
    monkeypatch.setattr(fast_path, "limits_of", lambda *given: honest(*given)._replace(**LIMITS_OFF[name]))
    caught = 0
    for seed in range(8):
        case = guarded(a_case(seed), seed)
        strategy = ScorePolicy(case.vault)
        exact = run(strategy, case.bars, case.scores, case.execution)
        try:
            assert_equal(run_fast(strategy, case.bars, case.scores, case.execution), exact)
        except AssertionError:
            caught += 1
    assert caught > 0


def test_the_engine_under_every_limit_is_the_keepers_and_reaches_each() -> None:
    reasons = set()
    for seed in range(8):
        case = guarded(a_case(seed), seed)
        exact = run(ScorePolicy(case.vault), case.bars, case.scores, case.execution)
        assert differences(exact, case.vault) == ()
        reasons |= {reason for tick in exact.ticks if tick.decision for reason in tick.decision.reasons}
    assert {"dwell", "benefit_below_cost", "value_capped", "value_cap_reached"} <= reasons


def test_the_random_cases_reach_every_rule() -> None:
    """A case that never trades, never fails and never holds would prove nothing."""
    runs = [run(ScorePolicy(c.vault), c.bars, c.scores, c.execution) for c in map(a_case, range(6))]
    reasons = {reason for r in runs for tick in r.ticks if tick.decision for reason in tick.decision.reasons}
    expected = {
        "score_above_enter", "score_below_leave", "inside_band", "score_missing", "score_stale", "score_degraded",
        "score_expired", "cooldown", "dead_zone", "turnover_day_reached", "step_capped", "turnover_day_capped",
        "price_missing", "intent_unresolved", "already_decided",
    }  # fmt: skip
    assert expected <= reasons
    assert {0.0, 0.4, 1.0} == {trade.fill_share for r in runs for trade in r.trades}


@dataclass(frozen=True)
class SeesTomorrow:
    """A float twin that reads the target of the next bar; its exact half cannot."""

    honest: Strategy
    name: str = "sees_tomorrow"

    @property
    def vault(self) -> VaultConfig:
        return self.honest.vault

    @property
    def start(self) -> dict[str, D]:
        return dict(self.honest.start)

    def target(self, moment: Moment) -> Target:
        return self.honest.target(moment)

    def targets(self, bars: Bars, tape: ScoreTape) -> FloatTargets:
        now = self.honest.targets(bars, tape)
        return FloatTargets(*(np.roll(part, -1, axis=0) for part in (now.weights, now.usable, now.said)))


def test_a_twin_that_looks_one_bar_ahead_is_caught() -> None:
    case = a_case(1)
    cheat = SeesTomorrow(ScorePolicy(case.vault))
    exact = run(cheat, case.bars, case.scores, case.execution)
    with pytest.raises(AssertionError):
        assert_equal(run_fast(cheat, case.bars, case.scores, case.execution), exact)


def test_no_score_at_all_moves_nothing() -> None:
    case = a_case(2)
    result = run_fast(ScorePolicy(case.vault), case.bars, (), case.execution)
    assert result.trades == ()
    assert_equal(result, run(ScorePolicy(case.vault), case.bars, (), case.execution))


def test_targets_of_another_time_run_as_well() -> None:
    case = a_case(3)
    strategy = ScorePolicy(case.vault)
    targets = strategy.targets(case.bars, ScoreTape(case.scores))
    same = run_targets(strategy, case.bars, targets, case.execution)
    assert_equal(same, run_fast(strategy, case.bars, case.scores, case.execution))
