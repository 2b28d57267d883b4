"""The allocation policy: tables on both sides of each limit, and invariants on random histories."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.allocation.policy import (
    POLICY_VERSIONS,
    PolicyError,
    check_vault,
    decide,
    next_state,
    propose_target,
    streak_after,
    weights_in,
)
from models.allocation.weights import step_towards, turnover, weights_of
from models.contracts.market import DataMode
from models.contracts.score import Score, ScoreStatus
from models.contracts.vault import (
    ActionHistory,
    PolicyName,
    PolicyState,
    Reason,
    Streak,
    VaultAsset,
    VaultConfig,
    VaultLimits,
    VaultState,
    Verdict,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ON, OFF = PolicyState.RISK_ON, PolicyState.RISK_OFF
VAULT = VaultConfig(
    id="mixed",
    network="devnet",
    contract=None,
    assets=(
        VaultAsset("USDC", None, D("0.2"), stable=True),
        VaultAsset("BTC", "BTC", D("0.5")),
        VaultAsset("cNGN", "USDNGN:official", D("0.3"), invert=True),
    ),
    limits=VaultLimits(),
    policy=PolicyName.ON_OFF,
)
BASE = weights_in(VAULT, ON)
SAFE = weights_in(VAULT, OFF)


def a_score(value: float | None, status: ScoreStatus = ScoreStatus.OK, age_s: int = 0, imputed: float = 0.0) -> Score:
    return Score(
        subject="vault:mixed",
        horizon_days=1,
        as_of=NOW - timedelta(seconds=age_s),
        issued_at=NOW,
        valid_until=NOW + timedelta(hours=2),
        status=status,
        reasons=(),
        score=value,
        p_spike=0.1,
        rv_forecast=1e-4,
        sigma_ann=0.2,
        var99=0.02,
        es99=0.03,
        model_name="har",
        model_version="1",
        data_mode=DataMode.SIMULATED,
        share_imputed=imputed,
        share_stale=0.0,
    )


@pytest.mark.parametrize(
    ("previous", "value", "state", "reason"),
    [
        (ON, 80.0, ON, Reason.INSIDE_BAND),
        (ON, 80.01, OFF, Reason.SCORE_ABOVE_ENTER),
        (OFF, 80.01, OFF, Reason.SCORE_ABOVE_ENTER),
        (OFF, 79.0, OFF, Reason.INSIDE_BAND),
        (OFF, 70.0, OFF, Reason.INSIDE_BAND),
        (OFF, 69.99, ON, Reason.SCORE_BELOW_LEAVE),
        (ON, 0.0, ON, Reason.SCORE_BELOW_LEAVE),
    ],
)
def test_hysteresis_on_both_sides_of_each_threshold(
    previous: PolicyState, value: float, state: PolicyState, reason: Reason
) -> None:
    assert next_state(previous, value, VAULT.limits) == (state, reason)


def test_a_new_vault_counts_as_risk_off_and_says_so() -> None:
    target = propose_target(VAULT, a_score(75.0), None, NOW)
    assert target.state is OFF
    assert target.weights == {"USDC": 1, "BTC": 0, "cNGN": 0}
    assert target.reasons == (Reason.INSIDE_BAND, Reason.NO_PREVIOUS_STATE)
    assert propose_target(VAULT, a_score(20.0), None, NOW).weights == BASE


@pytest.mark.parametrize(
    ("score", "reason"),
    [
        (None, Reason.SCORE_MISSING),
        (a_score(None, ScoreStatus.QUARANTINED), Reason.SCORE_MISSING),
        (a_score(None, ScoreStatus.STALE), Reason.SCORE_STALE),
        (a_score(99.0, age_s=7201), Reason.SCORE_STALE),
        (a_score(99.0, ScoreStatus.DEGRADED), Reason.SCORE_DEGRADED),
        (a_score(99.0, imputed=0.26), Reason.SCORE_DEGRADED),
        (a_score(99.0, imputed=float("nan")), Reason.SCORE_DEGRADED),
        (a_score(float("nan")), Reason.SCORE_MISSING),
    ],
)
@pytest.mark.parametrize("previous", [ON, OFF])
def test_without_a_trusted_score_the_last_state_holds(
    score: Score | None, reason: Reason, previous: PolicyState
) -> None:
    target = propose_target(VAULT, score, previous, NOW)
    assert (target.state, target.usable, target.reasons) == (previous, False, (reason,))
    decision = decide(VAULT, target, VaultState("mixed", SAFE, D(100)), ActionHistory(), NOW)
    assert (decision.verdict, decision.reasons, decision.weights) == (Verdict.HOLD, (reason,), None)


def test_a_score_of_exactly_the_allowed_age_and_share_counts() -> None:
    assert propose_target(VAULT, a_score(99.0, age_s=7200, imputed=0.25), ON, NOW).usable


def at(weights: dict[str, D]) -> VaultState:
    return VaultState("mixed", weights, D(1000))


@pytest.mark.parametrize(
    ("current", "history", "verdict", "reason", "moved"),
    [
        (SAFE, ActionHistory(), Verdict.REBALANCE, Reason.STEP_CAPPED, "0.5"),
        (SAFE, ActionHistory(NOW - timedelta(hours=6)), Verdict.REBALANCE, Reason.STEP_CAPPED, "0.5"),
        (SAFE, ActionHistory(NOW - timedelta(hours=6) + timedelta(seconds=1)), Verdict.HOLD, Reason.COOLDOWN, "0"),
        (SAFE, ActionHistory(None, D("0.9")), Verdict.REBALANCE, Reason.TURNOVER_DAY_CAPPED, "0.1"),
        (SAFE, ActionHistory(None, D("0.981")), Verdict.HOLD, Reason.TURNOVER_DAY_REACHED, "0"),
        (SAFE, ActionHistory(None, D("1.2")), Verdict.HOLD, Reason.TURNOVER_DAY_REACHED, "0"),
        (BASE, ActionHistory(), Verdict.HOLD, Reason.DEAD_ZONE, "0"),
        ({"USDC": D("0.2199"), "BTC": D("0.4801"), "cNGN": D("0.3")}, ActionHistory(), Verdict.HOLD,
         Reason.DEAD_ZONE, "0"),
        ({"USDC": D("0.22"), "BTC": D("0.48"), "cNGN": D("0.3")}, ActionHistory(), Verdict.REBALANCE,
         Reason.SCORE_BELOW_LEAVE, "0.02"),
        ({"USDC": D(1), "BTC": D(0)}, ActionHistory(), Verdict.REFUSE, Reason.ASSETS_DIFFER, "0"),
    ],
)  # fmt: skip
def test_decide_on_both_sides_of_each_limit(
    current: dict[str, D], history: ActionHistory, verdict: Verdict, reason: Reason, moved: str
) -> None:
    target = propose_target(VAULT, a_score(10.0), OFF, NOW)
    decision = decide(VAULT, target, at(current), history, NOW)
    assert decision.verdict is verdict
    assert reason in decision.reasons
    assert decision.turnover == D(moved)


REDUCE, EARLIER = Streak(NOW - timedelta(hours=1), True, 1), NOW - timedelta(hours=1)


@pytest.mark.parametrize(
    ("limits", "score", "history", "reason", "moved"),
    [
        # dwell: scores in a row that ask for the same direction, this one counted
        ({"dwell_scores": 2}, 99.0, ActionHistory(), Reason.DWELL, "0"),
        ({"dwell_scores": 2}, 99.0, ActionHistory(streak=REDUCE), Reason.STEP_CAPPED, "0.5"),
        ({"dwell_scores": 3}, 99.0, ActionHistory(streak=REDUCE), Reason.DWELL, "0"),
        ({"dwell_scores": 2}, 99.0, ActionHistory(streak=Streak(EARLIER, False, 5)), Reason.DWELL, "0"),
        ({"dwell_scores": 2}, 99.0, ActionHistory(streak=Streak(NOW, True, 1)), Reason.DWELL, "0"),  # heard again
        # a cooldown of its own for the way into the stable leg
        ({"cooldown_reduce_s": 3600}, 99.0, ActionHistory(EARLIER), Reason.STEP_CAPPED, "0.5"),
        ({"cooldown_reduce_s": 3601}, 99.0, ActionHistory(EARLIER), Reason.COOLDOWN, "0"),
        ({"cooldown_reduce_s": 0}, 99.0, ActionHistory(NOW), Reason.STEP_CAPPED, "0.5"),
        # dollars, of a vault worth 1,000: the way to the stable leg is 0.8 of it
        ({"max_action_usd": D(500)}, 99.0, ActionHistory(), Reason.STEP_CAPPED, "0.5"),
        ({"max_action_usd": D(400)}, 99.0, ActionHistory(), Reason.VALUE_CAPPED, "0.4"),
        (
            {"max_action_usd": D(3)},
            99.0,
            ActionHistory(),
            Reason.VALUE_CAPPED,
            "0.003",
        ),  # below the dead zone: wanted so
        ({"max_day_usd": D(600)}, 99.0, ActionHistory(None, D(0), D(350)), Reason.VALUE_CAPPED, "0.25"),
        ({"max_day_usd": D(600)}, 99.0, ActionHistory(None, D(0), D("580.01")), Reason.VALUE_CAP_REACHED, "0"),
        ({"max_day_usd": D(600)}, 99.0, ActionHistory(None, D(0), D(700)), Reason.VALUE_CAP_REACHED, "0"),
        # sigma 0.2 a year is 0.0104685 a day; half the vault of 0.8 risky is 0.0065428 of risk for 0.002 + 0.00025
        ({"min_benefit": 2.9}, 99.0, ActionHistory(), Reason.STEP_CAPPED, "0.5"),
        ({"min_benefit": 2.91}, 99.0, ActionHistory(), Reason.BENEFIT_BELOW_COST, "0"),
        ({"min_benefit": 2.9, "cost_bps": 41}, 99.0, ActionHistory(), Reason.BENEFIT_BELOW_COST, "0"),
        ({"min_benefit": 2.9, "cost_usd": D("0.3")}, 99.0, ActionHistory(), Reason.BENEFIT_BELOW_COST, "0"),
    ],
)
def test_decide_on_both_sides_of_the_further_limits(
    limits: dict[str, Any], score: float, history: ActionHistory, reason: Reason, moved: str
) -> None:
    vault = replace(VAULT, limits=replace(VAULT.limits, **limits))
    decision = decide(vault, propose_target(vault, a_score(score), ON, NOW), at(BASE), history, NOW)
    assert reason in decision.reasons
    assert (decision.turnover, decision.verdict is Verdict.REBALANCE) == (D(moved), moved != "0")


def test_the_way_out_of_the_stable_leg_waits_for_the_usual_cooldown() -> None:
    vault = replace(VAULT, limits=replace(VAULT.limits, cooldown_reduce_s=0))
    target = propose_target(vault, a_score(20.0), OFF, NOW)
    assert decide(vault, target, at(SAFE), ActionHistory(EARLIER), NOW).reasons == (Reason.COOLDOWN,)


def test_a_vault_that_weighs_benefits_needs_a_forecast() -> None:
    vault = replace(VAULT, limits=replace(VAULT.limits, min_benefit=1.0))
    blind = replace(a_score(99.0), sigma_ann=None)
    target = propose_target(vault, blind, ON, NOW)
    assert (target.usable, target.reasons) == (False, (Reason.SCORE_MISSING,))
    assert propose_target(VAULT, blind, ON, NOW).usable


@pytest.mark.parametrize(
    ("before", "score", "held", "after"),
    [
        (Streak(), 99.0, BASE, Streak(NOW, True, 1)),
        (REDUCE, 99.0, BASE, Streak(NOW, True, 2)),
        (Streak(NOW, True, 2), 99.0, BASE, Streak(NOW, True, 2)),  # heard again
        (REDUCE, 20.0, SAFE, Streak(NOW, False, 1)),  # the other direction
        (REDUCE, 99.0, SAFE, Streak(NOW)),  # it is there already
        (REDUCE, None, BASE, REDUCE),  # no score is no answer
    ],
)
def test_what_is_remembered_of_a_score(before: Streak, score: float | None, held: dict[str, D], after: Streak) -> None:
    target = propose_target(VAULT, None if score is None else a_score(score), ON, NOW)
    assert streak_after(VAULT, target, at(held), before, NOW) == after


@pytest.mark.parametrize(
    ("limits", "field"),
    [
        ({"dwell_scores": 0}, "dwell_scores must be at least 1"),
        ({"cooldown_reduce_s": 21601}, "cooldown_reduce_s must be 0 to cooldown_s"),
        ({"cooldown_reduce_s": -1}, "cooldown_reduce_s"),
        ({"min_benefit": float("nan")}, "min_benefit must be 0 or more"),
        ({"cost_bps": -1}, "cost_bps"),
        ({"cost_usd": D("NaN")}, "cost_usd"),
        ({"max_price_gap": D(1)}, "max_price_gap must be above 0 and below 1"),
        ({"max_action_usd": D(0)}, "max_action_usd must be above 0"),
        ({"max_day_usd": D("-1")}, "max_day_usd"),
        ({"allowed_models": ()}, "allowed_models"),
    ],
)
def test_limits_out_of_their_range_are_named(limits: dict[str, Any], field: str) -> None:
    with pytest.raises(PolicyError, match=field):
        check_vault(replace(VAULT, limits=replace(VAULT.limits, **limits)))


def test_a_capped_step_keeps_the_direction() -> None:
    target = propose_target(VAULT, a_score(10.0), OFF, NOW)
    decision = decide(VAULT, target, at(SAFE), ActionHistory(), NOW)
    # 0.8 of turnover wanted, 0.5 allowed: 5/8 of each move.
    assert decision.weights == {"USDC": D("0.5"), "BTC": D("0.3125"), "cNGN": D("0.1875")}
    assert decision.drift == D("0.8")


def test_a_target_that_aged_since_it_was_issued_holds() -> None:
    target = propose_target(VAULT, a_score(10.0), OFF, NOW)
    later = NOW + timedelta(seconds=7201)
    assert decide(VAULT, target, at(SAFE), ActionHistory(), later).reasons == (Reason.SCORE_STALE,)
    missing = replace(target, score=None)
    assert decide(VAULT, missing, at(SAFE), ActionHistory(), NOW).reasons == (Reason.SCORE_MISSING,)


@pytest.mark.parametrize(
    "weights",
    [
        {"USDC": D("0.2"), "BTC": D("0.5"), "cNGN": D("0.31")},
        {"USDC": D("-0.2"), "BTC": D("0.9"), "cNGN": D("0.3")},
        {"USDC": D("NaN"), "BTC": D("0.5"), "cNGN": D("0.5")},
    ],
)
def test_a_target_that_is_no_allocation_is_refused(weights: dict[str, D]) -> None:
    target = replace(propose_target(VAULT, a_score(10.0), OFF, NOW), weights=weights)
    decision = decide(VAULT, target, at(SAFE), ActionHistory(), NOW)
    assert (decision.verdict, decision.reasons) == (Verdict.REFUSE, (Reason.POST_STATE_OUT_OF_BOUNDS,))


@pytest.mark.parametrize(
    ("assets", "field"),
    [
        ((VaultAsset("USDC", None, D("0.9"), stable=True),), "base_weight sums"),
        ((VaultAsset("BTC", "BTC", D(1)),), "stable"),
        ((VaultAsset("USDC", None, D("-0.5"), stable=True), VaultAsset("BTC", "BTC", D("1.5"))), "0 to 1"),
        ((VaultAsset("USDC", None, D("0.5"), stable=True),) * 2, "twice"),
    ],
)
def test_impossible_vaults_are_refused(assets: tuple[VaultAsset, ...], field: str) -> None:
    with pytest.raises(PolicyError, match=field):
        check_vault(replace(VAULT, assets=assets))
    with pytest.raises(PolicyError, match="leave_score"):
        check_vault(replace(VAULT, limits=VaultLimits(enter_score=70, leave_score=70)))


@pytest.mark.parametrize("values", [{"A": D(0)}, {"A": D(-1), "B": D(2)}, {"A": D("NaN")}])
def test_weights_need_something_held(values: dict[str, D]) -> None:
    with pytest.raises(ValueError, match="values"):
        weights_of(values)


amounts = st.lists(st.integers(0, 10**15), min_size=3, max_size=3).filter(lambda v: sum(v) > 0)
without_stable = st.lists(st.integers(0, 10**15), min_size=6, max_size=6).filter(lambda v: sum(v) > 0)
scores = st.one_of(st.none(), st.floats(0, 100))


def weights_from(raw: list[int]) -> dict[str, D]:
    return weights_of(dict(zip(("USDC", "BTC", "cNGN"), map(D, raw), strict=True)))


@given(amounts, amounts, st.decimals(D("0.0001"), D(1), places=4))
def test_partial_steps_sum_to_one_and_stay_inside_the_limit(raw: list[int], goal: list[int], limit: D) -> None:
    current, wanted = weights_from(raw), weights_from(goal)
    moved = step_towards(current, wanted, limit, "USDC")
    assert sum(moved.values()) == 1
    assert turnover(current, moved) <= limit
    assert turnover(moved, wanted) <= turnover(current, wanted)
    assert all(0 <= w <= 1 for w in moved.values())


@given(without_stable, without_stable, st.decimals(D("0.0001"), D(1), places=4))
def test_no_step_makes_a_weight_negative(raw: list[int], goal: list[int], limit: D) -> None:
    symbols = ("A", "B", "C", "D", "E", "F")
    current, wanted = (weights_of(dict(zip(symbols, map(D, v), strict=True))) | {"USDC": D(0)} for v in (raw, goal))
    moved = step_towards(current, wanted, limit, "USDC")
    assert min(moved.values()) >= 0
    assert sum(moved.values()) == 1
    assert turnover(current, moved) <= limit
    assert all(min(current[s], wanted[s]) <= w <= max(current[s], wanted[s]) for s, w in moved.items() if s != "USDC")


def test_rounding_takes_nothing_from_a_stable_leg_that_holds_nothing() -> None:
    symbols = ("USDC", "A", "B", "C")
    current = dict(zip(symbols, map(D, ("0", "0.33333333", "0.33333333", "0.33333334")), strict=True))
    wanted = dict(zip(symbols, map(D, ("0", "0.11111111", "0.22222223", "0.66666666")), strict=True))
    moved = step_towards(current, wanted, D("0.1"), "USDC")
    # 0.1 of 0.33333332: A falls by 0.0666666693..., B by 0.0333333306..., each rounded down; C may rise by their sum.
    assert moved == {"USDC": D(0), "A": D("0.26666667"), "B": D("0.30000000"), "C": D("0.43333333")}


@settings(max_examples=60)
@given(amounts, st.lists(st.tuples(scores, st.integers(600, 7200)), min_size=5, max_size=40))
def test_no_history_breaks_a_limit(raw: list[int], ticks: list[tuple[float | None, int]]) -> None:
    """Random scores at random intervals: caps and cooldown hold, and the state flips only by crossing the band."""
    weights, state, now = weights_from(raw), OFF, NOW
    actions: list[tuple[datetime, D]] = []
    for value, wait_s in ticks:
        now += timedelta(seconds=wait_s)
        score = replace(a_score(value), as_of=now) if value is not None else None
        target = propose_target(VAULT, score, state, now)
        assert sum(target.weights.values()) == 1
        if target.state is not state:
            assert value is not None
            assert value > 80 if target.state is OFF else value < 70
        state = target.state
        today = sum((t for at_, t in actions if now - at_ < timedelta(days=1)), D(0))
        history = ActionHistory(actions[-1][0] if actions else None, today)
        decision = decide(VAULT, target, at(weights), history, now)
        assert decision.reasons
        if decision.verdict is not Verdict.REBALANCE:
            assert decision.weights is None
            continue
        assert value is not None
        assert decision.weights is not None
        assert sum(decision.weights.values()) == 1
        assert D("0.02") <= decision.turnover <= VAULT.limits.max_step
        assert today + decision.turnover <= VAULT.limits.max_turnover_day
        assert not actions or now - actions[-1][0] >= timedelta(seconds=VAULT.limits.cooldown_s)
        actions.append((now, decision.turnover))
        weights = dict(decision.weights)


def test_the_version_is_part_of_every_target() -> None:
    assert propose_target(VAULT, a_score(10.0), ON, NOW).policy_version == POLICY_VERSIONS[PolicyName.ON_OFF]
