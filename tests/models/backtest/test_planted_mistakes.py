"""Mistakes that make a backtest lie, planted one by one: each must be found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal as D
from types import SimpleNamespace

import numpy as np
import pytest

import keeper.decision
from models.allocation import policy
from models.backtest import engine
from models.backtest.bars import Bar, Bars
from models.backtest.costs import Costs
from models.backtest.engine import Engine, Execution
from models.backtest.parity import differences
from models.backtest.records import BacktestRun
from models.backtest.run import run
from models.backtest.score_strategies import ScorePolicy
from models.contracts.score import Score
from models.contracts.vault import ActionHistory, PolicyState
from tests.models.backtest.worlds import THREE_LEGS, a_score, follows_volatility, hourly

HOURS = 200
EXECUTION = Execution(Costs(6.0, 4.0))
VAULTS = {"onoff": THREE_LEGS, "voltarget": follows_volatility(THREE_LEGS)}


def a_market() -> tuple[Bars, list[Score]]:
    rng = np.random.default_rng(11)
    prices = 100 * np.exp(np.cumsum(rng.normal(0, [0, 0.02, 0.03], (HOURS, 3)), axis=0))
    scores = [a_score(h, rng.uniform(50, 95), rng.uniform(0.2, 1.2)) for h in range(HOURS) if rng.random() < 0.8]
    failed = rng.choice([1.0, 1.0, 0.5, 0.0], HOURS)
    bars = replace(hourly(prices, ("USDC", "BTC", "ETH")), keeper_up=rng.random(HOURS) > 0.1, fill_share=failed)
    return bars, scores


def a_run(name: str = "onoff", execution: Execution = EXECUTION) -> BacktestRun:
    bars, scores = a_market()
    return run(ScorePolicy(VAULTS[name]), bars, scores, execution)


def kinds(result: BacktestRun, name: str = "onoff") -> set[str]:
    return {difference.what for difference in differences(result, VAULTS[name])}


@pytest.mark.parametrize("name", VAULTS)
@pytest.mark.parametrize("latency", [1, 3])
def test_every_tick_is_what_the_functions_of_the_keeper_say(name: str, latency: int) -> None:
    result = a_run(name, replace(EXECUTION, latency_bars=latency))
    assert len(result.trades) > 5
    assert differences(result, VAULTS[name]) == ()


def test_keeper_and_backtest_hold_the_same_function_in_hand() -> None:
    assert keeper.decision.decide is policy.decide is engine.policy.decide


def test_a_decision_function_that_differs_from_the_keepers_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def generous(vault, *rest):  # type: ignore[no-untyped-def]
        return policy.decide(replace(vault, limits=replace(vault.limits, dead_zone=D("0.1"))), *rest)

    own = {name: getattr(policy, name) for name in ("check_vault", "stable_leg", "streak_after")} | {"decide": generous}
    monkeypatch.setattr(engine, "policy", SimpleNamespace(**own))
    assert kinds(a_run()) == {"decision"}


def test_a_proposal_that_differs_from_the_pipelines_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def timid(vault, score, *rest):  # type: ignore[no-untyped-def]
        return policy.propose_target(replace(vault, limits=replace(vault.limits, enter_score=75.0)), score, *rest)

    monkeypatch.setattr("models.backtest.score_strategies.propose_target", timid)
    assert "target" in kinds(a_run())


def test_a_forgotten_cooldown_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "_bound_by", lambda self, now: ActionHistory())
    found = kinds(a_run())
    assert "history" in found
    assert "decision" in found


def test_a_forgotten_state_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    step = Engine.step

    def forgetful(self: Engine, bar: Bar, score: Score | None) -> engine.Step:
        if self._last is not None:
            self._last = replace(self._last, state=PolicyState.RISK_ON)
        return step(self, bar, score)

    monkeypatch.setattr(Engine, "step", forgetful)
    assert "previous state" in kinds(a_run())


def test_an_action_that_is_repeated_on_one_score_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    vault = replace(THREE_LEGS, limits=replace(THREE_LEGS.limits, max_score_age_s=9 * 3600, cooldown_s=0))
    bars = hourly(np.ones((6, 3)), ("USDC", "BTC", "ETH"))
    send = Engine._send

    def forgets(self: Engine, *args) -> None:  # type: ignore[no-untyped-def]
        send(self, *args)
        self._acted_on = None

    monkeypatch.setattr(Engine, "_send", forgets)
    result = run(ScorePolicy(vault), bars, [a_score(0, 90.0, valid_h=9)])
    assert {d.what for d in differences(result, vault)} == {"decision"}


def test_a_score_from_one_bar_ahead_is_found() -> None:
    bars, scores = a_market()
    ahead = Engine(ScorePolicy(THREE_LEGS), EXECUTION)
    with pytest.raises(engine.LookAhead):
        list(_fed_one_ahead(ahead, bars, scores))


def _fed_one_ahead(ahead: Engine, bars: Bars, scores: list[Score]) -> Iterator[engine.Step]:
    by_hour = {score.as_of: score for score in scores}
    for i in range(HOURS - 1):
        yield ahead.step(bars.bar(i), by_hour.get(bars.bar(i + 1).close_at))


def test_a_fill_at_the_close_of_its_decision_is_found() -> None:
    result = a_run()
    first, *others = result.trades
    early = replace(first, bar=first.decided_bar)
    assert "fill" in {d.what for d in differences(replace(result, trades=(early, *others)), THREE_LEGS)}


def explained(result: BacktestRun, bars: Bars) -> float:
    """Largest part of a bar's change of equity, in dollars, that prices and the stated costs leave unexplained."""
    growth = bars.prices[1:] / bars.prices[:-1]
    expected = result.equity_usd[:-1] * (result.weights[:-1] * growth).sum(axis=1)
    for trade in result.trades:
        expected[trade.bar - 1] -= trade.cost_usd
    return float(np.abs(result.equity_usd[1:] - expected).max())


def overcharged(result: BacktestRun) -> float:
    """Largest difference in dollars between a trade's costs and 10 bp of what it swapped."""
    return max(abs(trade.cost_usd - 0.001 * trade.notional_usd) for trade in result.trades)


def test_costs_that_are_off_or_not_booked_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    bars, _ = a_market()
    honest = a_run()
    assert explained(honest, bars) < 0.02  # weights are stored in steps of 1e-8 of a million dollars
    assert overcharged(honest) < 1e-6
    monkeypatch.setattr(Costs, "of", lambda self, notional, sigma, depth: D(0))
    assert overcharged(a_run()) > 100
    hidden = replace(honest, trades=tuple(replace(trade, cost_usd=0.0) for trade in honest.trades))
    assert explained(hidden, bars) > 100
