"""The volatility target: figures by hand, both sides of its bounds, and the same guards as the on/off rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.allocation.policy import POLICY_VERSIONS, PolicyError, check_vault, decide, propose_target
from models.allocation.volatility_target import exposure, scaled
from models.contracts.market import DataMode
from models.contracts.score import Score, ScoreStatus
from models.contracts.vault import (
    ActionHistory,
    PolicyName,
    PolicyState,
    Reason,
    VaultAsset,
    VaultConfig,
    VaultLimits,
    VaultState,
    Verdict,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ON, OFF = PolicyState.RISK_ON, PolicyState.RISK_OFF
LIMITS = VaultLimits(target_sigma_ann=0.4, dead_zone=D("0.10"), max_step=D(1))
VAULT = VaultConfig(
    "mixed",
    "devnet",
    None,
    (
        VaultAsset("USDC", None, D("0.2"), stable=True),
        VaultAsset("BTC", "BTC", D("0.5")),
        VaultAsset("ETH", "ETH", D("0.3")),
    ),
    LIMITS,
    PolicyName.VOLATILITY_TARGET,
)


def a_score(sigma: float | None, score: float | None = 60.0, age_s: int = 0) -> Score:
    as_of = NOW - timedelta(seconds=age_s)
    return Score(
        "vault:mixed", 1, as_of, as_of, NOW + timedelta(hours=2), ScoreStatus.OK, (), score, 0.1, 1e-4, sigma, 0.02,
        0.03, "har", "1", DataMode.SIMULATED, 0.0, 0.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("sigma", "target", "most", "expected"),
    [
        (0.8, 0.4, "1", "0.5"),
        (0.4, 0.4, "1", "1"),
        (0.2, 0.4, "1", "1"),
        (0.2, 0.4, "1.25", "1.25"),
        (0.36, 0.4, "1.25", "1.11111111"),  # 10/9, rounded down
        (0.3, 0.1, "1", "0.33333333"),
        (1e-300, 0.4, "1", "1"),
    ],
)
def test_exposure(sigma: float, target: float, most: str, expected: str) -> None:
    assert exposure(sigma, target, D(most)) == D(expected)


@pytest.mark.parametrize(("sigma", "target"), [(0.0, 0.4), (-0.1, 0.4), (0.4, 0.0), (float("nan"), 0.4)])
def test_no_risk_at_all_is_no_forecast(sigma: float, target: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        exposure(sigma, target, D(1))


def test_the_first_stable_leg_takes_what_is_left_and_another_keeps_its_share() -> None:
    risky, stable = {"BTC": D("0.5"), "ETH": D("0.2")}, {"USDC": D("0.2"), "EURC": D("0.1")}
    assert scaled(risky, D("0.5"), stable) == {"USDC": D("0.55"), "EURC": D("0.1"), "BTC": D("0.25"), "ETH": D("0.1")}
    full = {"USDC": D(0), "EURC": D("0.09"), "BTC": D("0.65"), "ETH": D("0.26")}
    assert scaled(risky, D("1.3"), stable) == full


@settings(deadline=None)
@given(st.floats(1e-6, 50.0), st.floats(0.01, 2.0))
def test_weights_are_an_allocation_at_any_forecast(sigma: float, target: float) -> None:
    vault = replace(VAULT, limits=replace(LIMITS, target_sigma_ann=target))
    wanted = propose_target(vault, a_score(sigma), ON, NOW)
    assert sum(wanted.weights.values()) == 1
    assert min(wanted.weights.values()) >= 0
    assert 1 - wanted.weights["USDC"] <= D("0.8") * D(min(1.0, target / sigma)) + D("1e-7")


def test_half_the_base_weights_at_twice_the_wanted_volatility() -> None:
    wanted = propose_target(VAULT, a_score(0.8), ON, NOW)
    assert wanted.weights == {"USDC": D("0.6"), "BTC": D("0.25"), "ETH": D("0.15")}
    assert (wanted.state, wanted.reasons, wanted.usable) == (OFF, (Reason.VOLATILITY_ABOVE_TARGET,), True)
    assert wanted.policy_version == POLICY_VERSIONS[PolicyName.VOLATILITY_TARGET] != POLICY_VERSIONS[PolicyName.ON_OFF]
    calm = propose_target(VAULT, a_score(0.39), OFF, NOW)
    assert (calm.state, calm.weights["BTC"], calm.reasons) == (ON, D("0.5"), (Reason.VOLATILITY_WITHIN_TARGET,))


@pytest.mark.parametrize("score", [None, a_score(None), a_score(float("nan")), a_score(0.0), a_score(0.3, None)])
def test_without_a_forecast_the_last_target_is_repeated_and_nothing_moves(score: Score | None) -> None:
    last = {"USDC": D("0.6"), "BTC": D("0.25"), "ETH": D("0.15")}
    wanted = propose_target(VAULT, score, OFF, NOW, last)
    assert (wanted.weights, wanted.usable, wanted.reasons) == (last, False, (Reason.SCORE_MISSING,))
    held = VaultState("mixed", {"USDC": D(1), "BTC": D(0), "ETH": D(0)}, D(100))
    assert decide(VAULT, wanted, held, ActionHistory(), NOW).verdict is Verdict.HOLD


def test_the_first_target_without_a_forecast_is_the_stable_leg() -> None:
    wanted = propose_target(VAULT, None, None, NOW)
    assert wanted.weights == {"USDC": 1, "BTC": 0, "ETH": 0}
    assert wanted.reasons == (Reason.SCORE_MISSING, Reason.NO_PREVIOUS_STATE)


def test_an_old_forecast_counts_as_little_as_an_old_score() -> None:
    assert propose_target(VAULT, a_score(0.8, age_s=7201), ON, NOW).reasons == (Reason.SCORE_STALE,)
    assert propose_target(VAULT, a_score(0.8, age_s=7200), ON, NOW).usable


@pytest.mark.parametrize(
    ("risky", "verdict", "reason"),
    [
        ("0.499", Verdict.HOLD, Reason.DEAD_ZONE),  # 0.099 from the wanted 0.4
        ("0.301", Verdict.HOLD, Reason.DEAD_ZONE),
        ("0.5", Verdict.REBALANCE, Reason.VOLATILITY_ABOVE_TARGET),
        ("0.3", Verdict.REBALANCE, Reason.VOLATILITY_ABOVE_TARGET),
    ],
)
def test_the_band_of_a_tenth_is_the_dead_zone(risky: str, verdict: Verdict, reason: Reason) -> None:
    wanted = propose_target(VAULT, a_score(0.8), ON, NOW)
    held = {"USDC": 1 - D(risky), "BTC": D(risky) * D("0.625"), "ETH": D(risky) * D("0.375")}
    decision = decide(VAULT, wanted, VaultState("mixed", held, D(100)), ActionHistory(), NOW)
    assert (decision.verdict, decision.reasons) == (verdict, (reason,))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"target_sigma_ann": None}, "target_sigma_ann"),
        ({"target_sigma_ann": 0.0}, "target_sigma_ann"),
        ({"target_sigma_ann": float("nan")}, "target_sigma_ann"),
        ({"max_exposure": D(0)}, "max_exposure"),
        ({"max_exposure": D("1.26")}, "max_exposure"),  # 0.8 x 1.26 > 1
    ],
)
def test_a_target_that_cannot_be_held_is_refused(change: dict[str, object], named: str) -> None:
    limits = replace(LIMITS, **change)  # type: ignore[arg-type]
    with pytest.raises(PolicyError, match=named):
        check_vault(replace(VAULT, limits=limits))
    check_vault(replace(VAULT, limits=limits, policy=PolicyName.ON_OFF))


def test_the_on_off_rule_neither_reads_the_forecast_nor_the_last_weights() -> None:
    on_off = replace(VAULT, policy=PolicyName.ON_OFF)
    with_forecast = propose_target(on_off, a_score(9.0), ON, NOW, {"USDC": D(1), "BTC": D(0), "ETH": D(0)})
    without = propose_target(on_off, a_score(None), ON, NOW)
    assert with_forecast == replace(without, sigma_ann=9.0)  # it is passed on, for whoever weighs benefits
    assert with_forecast.weights["BTC"] == D("0.5")
