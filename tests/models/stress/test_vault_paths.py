"""The simulated policy against the live functions, path by path, and mistakes planted into it: each must be found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal as D
from typing import Any

import numpy as np
import pytest

from models.allocation import policy
from models.backtest import engine
from models.backtest.costs import Costs
from models.backtest.engine import Execution
from models.backtest.parity import differences
from models.contracts.vault import VaultLimits
from models.stress import simulation
from models.stress.conditions import Conditions
from models.stress.course_figures import COST, EXPOSURE, RETURN, TRADES, TURNOVER
from models.stress.path_score import PathScore
from models.stress.setup import Setup
from models.stress.simulation import Simulated, simulate_vault
from models.stress.vault_kernels import VaultTerms, to_growth
from tests.models.backtest.worlds import follows_volatility
from tests.models.stress import slow_paths
from tests.models.stress.vaults import (
    DEPTH_USD,
    SIGMA_DAY,
    SYMBOLS,
    a_path_score,
    a_setup,
    an_execution,
    exact_run,
    random_conditions,
)

STEPS, PATHS = 119, 3  # every close is shown


def a_case(seed: int) -> tuple[Setup, Conditions]:
    """Volatility that comes and goes, so that scores cross both thresholds; limits, delays and starts at random."""
    rng = np.random.default_rng(seed)
    level = 0.006 * np.exp(np.cumsum(rng.normal(0, 0.12, (PATHS, STEPS, 1)), axis=1))
    table = rng.normal(0, 1, (PATHS, STEPS, 3)) * level * [1.0, 1.2, 0.1]
    limits = VaultLimits(
        dead_zone=D(str(rng.choice([0.001, 0.02, 0.1]))),
        max_step=D(str(rng.choice([0.2, 0.5, 1.0]))),
        max_turnover_day=D(str(rng.choice([0.4, 1.0, 24.0]))),
        cooldown_s=(0, 6 * 3600, 3600)[seed // 2],
        max_score_age_s=(7200, 20_000, 90_000)[seed % 3],
    )
    score = a_path_score(lag_steps=int(rng.integers(0, 3)), every_steps=int(rng.choice([1, 1, 3])))
    if seed >= 3:  # between the two thresholds, where the state of before decides
        score = starting_at(score, 75.0)
    start = dict(zip(SYMBOLS, map(D, ("0.2", "0.5", "0.3", "0")), strict=True)) if seed % 3 == 2 else None
    setup = a_setup(
        table,
        limits=limits,
        score=score,
        execution=an_execution(rng),
        sigma_day=SIGMA_DAY,
        depth_usd=DEPTH_USD,
        start=start,
        is_on=seed % 2 == 0,
    )
    return setup, random_conditions(PATHS, STEPS, seed=seed)


def guarded(setup: Setup, seed: int) -> Setup:
    """The same vault with every further limit on, each loose or tight at random."""
    rng = np.random.default_rng(1000 + seed)
    capital, limits = setup.execution.capital_usd, setup.vault.limits
    changed = replace(
        limits,
        dwell_scores=int(rng.integers(1, 4)),
        cooldown_reduce_s=rng.choice([None, limits.cooldown_s // 2]),
        min_benefit=float(rng.choice([0.5, 1.0, 2.0])),
        cost_usd=D(str(rng.choice([0.25, 20.0]))),
        max_action_usd=rng.choice([None, capital * D("0.15")]),
        max_day_usd=capital * D("0.4"),
    )
    return replace(setup, vault=replace(setup.vault, limits=changed))


def starting_at(score: PathScore, value: float) -> PathScore:
    """The same forecast, whose averages before the path are such that the first score is `value`."""
    missing = score.log_forecast_at(value) - slow_paths.log_forecast(score.terms, np.empty(0))[0]
    return replace(
        score, terms=score.terms._replace(start=score.terms.start * np.exp(missing / score.terms.slope.sum()))
    )


def simulated(setup: Setup, conditions: Conditions) -> Simulated:
    return simulate_vault(setup, PATHS, 0, lambda first, count: conditions)


def assert_same(setup: Setup, conditions: Conditions, found: Simulated) -> int:
    """Equity at every close, trades, turnover, costs and exposure of every path; returns the number of trades."""
    trades = 0
    capital = float(setup.execution.capital_usd)
    for path in range(PATHS):
        exact = exact_run(setup, conditions, path)
        row = found.tables["policy"][path]
        np.testing.assert_allclose(found.equity["policy"][path], exact.equity_usd / capital, rtol=1e-6)
        assert row[TRADES] == len(exact.trades)
        assert row[RETURN] == pytest.approx(exact.equity_usd[-1] / capital - 1.0, abs=1e-6)
        assert row[TURNOVER] == pytest.approx(exact.turnover, rel=1e-4, abs=1e-6)
        assert row[COST] == pytest.approx(exact.cost_usd / capital, rel=1e-4, abs=1e-8)
        assert row[EXPOSURE] == pytest.approx(exact.mean_exposure, abs=2e-6)
        trades += len(exact.trades)
    return trades


CASES: dict[str, Callable[[Setup], Setup]] = {
    "onoff": lambda setup: setup,
    "voltarget": lambda setup: replace(setup, vault=follows_volatility(setup.vault, 0.6)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", range(6))
def test_a_simulated_path_is_that_of_the_live_functions(name: str, seed: int) -> None:
    setup, conditions = a_case(seed)
    setup = CASES[name](setup)
    assert assert_same(setup, conditions, simulated(setup, conditions)) > 0


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", range(6))
def test_a_simulated_path_is_that_of_the_live_functions_under_every_limit(name: str, seed: int) -> None:
    setup, conditions = a_case(seed)
    setup = CASES[name](guarded(setup, seed))
    assert_same(setup, conditions, simulated(setup, conditions))


def test_the_cases_under_every_limit_reach_each() -> None:
    reasons: set[str] = set()
    for seed in range(6):
        setup, conditions = a_case(seed)
        for path in range(PATHS):
            exact = exact_run(guarded(setup, seed), conditions, path)
            reasons |= {reason for tick in exact.ticks if tick.decision for reason in tick.decision.reasons}
    assert {"dwell", "benefit_below_cost", "value_capped", "value_cap_reached"} <= reasons


def test_days_are_steps_as_well() -> None:
    rng = np.random.default_rng(5)
    table = rng.normal(0, 0.03, (PATHS, STEPS, 2)) * np.exp(np.cumsum(rng.normal(0, 0.2, (PATHS, STEPS, 1)), axis=1))
    score = a_path_score(1)
    setup = a_setup(table, steps_per_day=1, score=score, sigma_day=SIGMA_DAY, depth_usd=DEPTH_USD)
    conditions = random_conditions(PATHS, STEPS, seed=5)
    assert assert_same(setup, conditions, simulated(setup, conditions)) > 5


def test_the_cases_reach_every_rule_and_every_tick_is_the_keepers() -> None:
    reasons: set[str] = set()
    for seed in range(6):
        setup, conditions = a_case(seed)
        for path in range(PATHS):
            exact = exact_run(setup, conditions, path)
            if not setup.is_on:  # the replay begins without a memory, which a reason of the first tick tells
                assert [d for d in differences(exact, setup.vault) if d.bar > 0] == []
            reasons |= {reason for tick in exact.ticks if tick.decision for reason in tick.decision.reasons}
            assert any(tick.decision is None for tick in exact.ticks)
    assert {
        "score_above_enter", "score_below_leave", "inside_band", "score_expired", "cooldown", "dead_zone",
        "turnover_day_reached", "step_capped", "turnover_day_capped", "intent_unresolved", "already_decided",
    } <= reasons  # fmt: skip


@pytest.mark.parametrize("largest", [1e-9, 0.01, 1 / 16, 0.0626, 3.0])
def test_growth_is_the_exponential(largest: float) -> None:
    log_returns = np.linspace(-largest, largest, 1001)
    growth = log_returns.copy()
    to_growth(growth)
    np.testing.assert_allclose(growth, np.exp(log_returns), rtol=4.5e-16, atol=0)
    assert (growth[500], len(growth)) == (1.0, 1001)


def without(limit: str, value: Any) -> Callable[[VaultTerms], VaultTerms]:
    return lambda terms: terms._replace(limits=terms.limits._replace(**{limit: value}))


MISTAKES: dict[str, Callable[[VaultTerms], VaultTerms]] = {
    "cooldown ignored": without("cooldown_us", 0),
    "costs off": lambda terms: terms._replace(half_spread=0.0, slippage=0.0),
    "no limit of turnover a day": without("max_turnover_day", 1e9),
    "no limit of a step": without("max_step", 1.0),
    "no dead zone": without("dead_zone", 0.0),
    "filled a step late": without("latency", 3),
    "threshold moved": lambda terms: terms._replace(rule=terms.rule._replace(enter=terms.rule.enter - 0.3)),
    "stale scores used": lambda terms: terms._replace(max_age_us=2**62),
    "state forgotten": lambda terms: terms._replace(is_on=not terms.is_on),
    "score known at once": lambda terms: terms._replace(lag=0),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_planted_mistake_breaks_parity(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one case or another: not every limit binds in each."""
    honest = simulation.terms_of
    monkeypatch.setattr(simulation, "terms_of", lambda setup: MISTAKES[mistake](honest(setup)))
    found = 0
    for seed in range(6):
        setup, conditions = a_case(seed)
        try:
            assert_same(setup, conditions, simulated(setup, conditions))
        except AssertionError:
            found += 1
    assert found > 0


def test_a_decision_function_that_changes_breaks_parity(monkeypatch: pytest.MonkeyPatch) -> None:
    setup, conditions = a_case(0)
    found = simulated(setup, conditions)
    decide = policy.decide

    def timid(vault, *rest):  # type: ignore[no-untyped-def]
        return decide(replace(vault, limits=replace(vault.limits, max_step=D("0.1"))), *rest)

    monkeypatch.setattr(engine.policy, "decide", timid)
    with pytest.raises(AssertionError):
        assert_same(setup, conditions, found)


def test_halts_and_stale_scores_are_what_stops_the_keeper() -> None:
    """A market that turns stormy after a calm day: the keeper leaves, unless it may not trade or hears nothing."""
    table = np.zeros((1, STEPS, 2))
    table[0, 24:, :] = 0.03 * (-1.0) ** np.arange(STEPS - 24)[:, None]
    setup = a_setup(table, execution=Execution(Costs()))
    calm = random_conditions(1, STEPS)
    calm = replace(
        calm,
        log_return=np.zeros((1, STEPS, 4)),
        sigma_multiplier=np.ones((1, STEPS)),
        half_spread_multiplier=np.ones((1, STEPS)),
        depth_share=np.ones((1, STEPS)),
        halted=np.zeros((1, STEPS), dtype=bool),
        score_stale=np.zeros((1, STEPS), dtype=bool),
        funding=np.zeros((1, STEPS)),
    )
    after = np.zeros((1, STEPS), dtype=bool)
    after[0, 20:] = True

    def exposure(conditions: Conditions) -> float:
        return float(simulate_vault(setup, 1, 0, lambda *_: conditions).tables["policy"][0, EXPOSURE])

    held = exposure(replace(calm, halted=after))
    assert held == pytest.approx(0.75, abs=0.01)
    assert exposure(replace(calm, score_stale=after)) == held
    assert exposure(calm) < 0.5
