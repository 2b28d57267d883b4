"""No path of scores and prices breaks a guard of the policy, none flickers, and broken policies are caught."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from models.allocation.policy import decide, propose_target, streak_after
from models.contracts.vault import ActionHistory, Decision, PolicyName, Streak, VaultConfig, VaultLimits, Verdict
from tests.models.allocation.guarded_paths import ASSETS, Decide, Propose, check, walk
from tests.models.allocation.test_policy import NOW, OFF, VAULT, a_score, at

SHARDS, PATHS_A_SHARD, TICKS = 10, 1_000, 12


@pytest.mark.parametrize("shard", range(SHARDS))
def test_no_guard_is_ever_broken(shard: int) -> None:
    """10,000 paths in all."""
    rng = Random(shard)
    moves, reasons = 0, set()
    for _ in range(PATHS_A_SHARD):
        for tick in walk(rng, TICKS):
            check(*tick)
            decision = tick[4]
            moves += decision.weights is not None
            reasons |= set(decision.reasons)
    assert moves > PATHS_A_SHARD / 2
    assert {
        "dead_zone", "dwell", "cooldown", "turnover_day_reached", "turnover_day_capped", "step_capped", "value_capped",
        "value_cap_reached", "benefit_below_cost", "score_missing", "score_stale", "score_degraded",
    } <= reasons  # fmt: skip


def with_limits(**changes: Any) -> Decide:
    def mutant(vault: VaultConfig, *rest: Any) -> Decision:
        return decide(replace(vault, limits=replace(vault.limits, **changes)), *rest)

    return mutant


def with_history(change: Callable[[ActionHistory], ActionHistory]) -> Decide:
    return lambda vault, target, state, history, now: decide(vault, target, state, change(history), now)


def untrusting(vault: VaultConfig, *rest: Any) -> Any:
    """Believes whatever it is told."""
    loose = replace(vault.limits, max_score_age_s=10**6, max_share_imputed=1.0)
    return propose_target(replace(vault, limits=loose), *rest)


MUTANTS: dict[str, tuple[Decide, Propose, str]] = {
    "no dead zone": (with_limits(dead_zone=D(0)), propose_target, "dead zone"),
    "no step": (with_limits(max_step=D(1)), propose_target, "step"),
    "no cap a day": (with_limits(max_turnover_day=D(24)), propose_target, "turnover a day"),
    "a day that forgets": (with_history(lambda h: replace(h, turnover_day=D(0))), propose_target, "turnover a day"),
    "no dollars an action": (with_limits(max_action_usd=None), propose_target, "dollars an action"),
    "dollars that are forgotten": (
        with_history(lambda h: replace(h, moved_usd_day=D(0))), propose_target, "dollars a day",
    ),
    "no cooldown": (with_limits(cooldown_s=0), propose_target, "cooldown"),
    "every move waits as little as a reduction": (
        lambda vault, *rest: decide(
            replace(vault, limits=replace(vault.limits, cooldown_s=vault.limits.cooldown_reduce_s or 0)), *rest
        ),
        propose_target,
        "cooldown",
    ),
    "no dwell": (with_limits(dwell_scores=1), propose_target, "dwell"),
    "a streak that never ends": (
        with_history(lambda h: replace(h, streak=Streak(None, h.streak.reduces, 9))), propose_target, "dwell",
    ),
    "no benefit": (with_limits(min_benefit=0.0), propose_target, "benefit"),
    "costs forgotten": (with_limits(cost_bps=0, cost_usd=D(0)), propose_target, "benefit"),
    "old and doubtful scores": (with_limits(max_score_age_s=10**6), untrusting, "sound"),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_a_policy_with_a_broken_guard_is_caught(name: str) -> None:
    decide_, propose, said = MUTANTS[name]

    def everything() -> None:
        rng = Random(0)
        for _ in range(PATHS_A_SHARD):
            for tick in walk(rng, TICKS, decide_, propose):
                check(*tick)

    with pytest.raises(AssertionError, match=said):
        everything()


def flicker(seed: int, paths: int, propose: Propose = propose_target, decide_: Decide = decide) -> int:
    """Scores around the thresholds and prices that stand still: number of moves, each justified by a crossing.

    With steps that suffice, a vault moves once after each full crossing of the band and never twice in a cooldown.
    """
    limits = VaultLimits(dead_zone=D("0.02"), max_step=D(1), max_turnover_day=D(24), dwell_scores=1)
    vault = VaultConfig("mixed", "devnet", None, ASSETS, limits, PolicyName.ON_OFF)
    rng, moves = Random(seed), 0
    for _ in range(paths):
        side, crossings, at = "off", 0, []
        for _, score, target, _, decision, now, _ in walk(rng, 40, decide_, propose, vault, moves=False):
            if target.usable and score is not None and score.score is not None:
                if side == "off" and score.score < 70:
                    side, crossings = "on", crossings + 1
                elif side == "on" and score.score > 80:
                    side, crossings = "off", crossings + 1
            if decision.verdict is Verdict.REBALANCE:
                at.append(now)
        assert len(at) <= crossings + 1, "more moves than crossings"  # the first one corrects where it began
        assert all(b - a >= timedelta(seconds=limits.cooldown_s) for a, b in pairwise(at)), "two moves in a cooldown"
        moves += len(at)
    return moves


def test_scores_around_the_threshold_do_not_flicker() -> None:
    assert flicker(1, 300) > 300


def noise(dead_zone: str, paths: int = 200) -> int:
    """Forecasts that wander while prices stand still: a volatility target moves only when what it wants is a dead zone
    away from where it went last."""
    limits = VaultLimits(
        dead_zone=D(dead_zone), max_step=D(1), max_turnover_day=D(24), cooldown_s=0, target_sigma_ann=0.4
    )
    vault = VaultConfig("mixed", "devnet", None, ASSETS, limits, PolicyName.VOLATILITY_TARGET)
    rng, moves = Random(2), 0
    for _ in range(paths):
        last: float | None = None
        for _, score, _, _, decision, _, _ in walk(rng, 30, vault=vault, moves=False):
            if decision.verdict is not Verdict.REBALANCE:
                continue
            assert score is not None
            assert score.sigma_ann is not None
            wanted = 0.8 * min(1.0, 0.4 / score.sigma_ann)  # risky share
            assert last is None or abs(wanted - last) >= 0.1 - 1e-6, "moved on noise"
            last, moves = wanted, moves + 1
    return moves


def test_a_volatility_target_does_not_follow_noise() -> None:
    assert noise("0.10") > 200
    with pytest.raises(AssertionError, match="moved on noise"):
        noise("0.02")


def test_a_band_without_a_width_is_caught() -> None:
    def narrow(vault: VaultConfig, *rest: Any) -> Any:
        return propose_target(replace(vault, limits=replace(vault.limits, leave_score=79.99)), *rest)

    with pytest.raises(AssertionError, match="more moves than crossings"):
        flicker(1, 300, narrow)
    with pytest.raises(AssertionError, match="two moves in a cooldown"):
        flicker(1, 300, decide_=with_limits(cooldown_s=0))


@pytest.mark.parametrize("scores", [(79.0, 81.0), (81.0, 79.0), (69.5, 80.5, 75.0)])
def test_a_score_that_flips_every_hour_moves_a_dwelling_vault_not_more_than_once(scores: tuple[float, ...]) -> None:
    """The hourly 79 and 81 of a noisy score: the on/off rule moves once; with a dwell of two, two in a row must ask."""
    vault = replace(VAULT, limits=replace(VAULT.limits, dwell_scores=2, max_step=D(1), cooldown_s=0))
    weights, state, moves, streak = {a.symbol: a.base_weight for a in ASSETS}, OFF, 0, Streak()
    for hour in range(48):
        now = NOW + timedelta(hours=hour)
        target = propose_target(vault, replace(a_score(scores[hour % len(scores)]), as_of=now), state, now)
        state = target.state
        decision = decide(vault, target, at(weights), ActionHistory(streak=streak), now)
        streak = streak_after(vault, target, at(weights), streak, now)
        if decision.weights is not None:
            weights, moves = dict(decision.weights), moves + 1
    assert moves <= 1
