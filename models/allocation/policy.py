"""The allocation policies: from a score to a target, and from a target to a decision. Backtest, stress and keeper call
these very functions.

A vault names its policy. VOLATILITY_TARGET, the default, scales the base weights down
(`models.allocation.volatility_target`); ON_OFF moves between them and the stable leg. `decide` is the same for both.

Pure: the time comes in, nothing is read or stored. Safety that concerns a chain, a network or an operator (kill
switch, data mode, roles) belongs to `keeper.decision`, which calls `decide` after its own guards.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from models.allocation.volatility_target import exposure, scaled
from models.allocation.weights import ONE, is_allocation, step_towards, turnover
from models.contracts.score import Score, ScoreStatus
from models.contracts.vault import (
    ActionHistory,
    Decision,
    PolicyName,
    PolicyState,
    Reason,
    Target,
    VaultConfig,
    VaultLimits,
    VaultState,
    Verdict,
)

# Stored with every target and decision; the keeper refuses a target of another version than its vault's policy has.
POLICY_VERSIONS = {PolicyName.ON_OFF: "onoff-1", PolicyName.VOLATILITY_TARGET: "voltarget-1"}


class PolicyError(ValueError):
    """The vault's configuration cannot be allocated; the message names the field and the way out."""


def check_vault(vault: VaultConfig) -> None:
    """Raise PolicyError unless base weights are in [0, 1] and sum to exactly 1, a stable leg exists, the hysteresis
    band is not inverted and a volatility target names a volatility that is there to be had."""
    symbols = [a.symbol for a in vault.assets]
    if len(set(symbols)) != len(symbols):
        raise PolicyError(f"vault {vault.id}: assets name a symbol twice; keep one")
    if any(not 0 <= a.base_weight <= 1 for a in vault.assets):
        raise PolicyError(f"vault {vault.id}: base_weight must lie in 0 to 1")
    total = sum((a.base_weight for a in vault.assets), Decimal(0))
    if total != ONE:
        raise PolicyError(f"vault {vault.id}: base_weight sums to {total}, not 1; write weights as exact decimals")
    if not any(a.stable for a in vault.assets):
        raise PolicyError(f"vault {vault.id}: no asset is marked stable; the policy needs a leg to move into")
    if not vault.limits.leave_score < vault.limits.enter_score:
        raise PolicyError(f"vault {vault.id}: leave_score must be below enter_score")
    if vault.policy is PolicyName.VOLATILITY_TARGET:
        _check_volatility_target(vault)


def stable_leg(vault: VaultConfig) -> str:
    """Symbol of the first stable leg: the money that every swap passes through."""
    return next(a.symbol for a in vault.assets if a.stable)


def weights_in(vault: VaultConfig, state: PolicyState) -> dict[str, Decimal]:
    """Weights wanted in `state`: the base weights when risk is on, otherwise everything in the first stable leg."""
    if state is PolicyState.RISK_ON:
        return {a.symbol: a.base_weight for a in vault.assets}
    stable = stable_leg(vault)
    return {a.symbol: ONE if a.symbol == stable else Decimal(0) for a in vault.assets}


def next_state(previous: PolicyState, score: float, limits: VaultLimits) -> tuple[PolicyState, Reason]:
    """On/off rule with hysteresis: off strictly above `enter_score`, on below `leave_score`, else as before."""
    if score > limits.enter_score:
        return PolicyState.RISK_OFF, Reason.SCORE_ABOVE_ENTER
    if score < limits.leave_score:
        return PolicyState.RISK_ON, Reason.SCORE_BELOW_LEAVE
    return previous, Reason.INSIDE_BAND


def propose_target(
    vault: VaultConfig,
    score: Score | None,
    previous: PolicyState | None,
    now: datetime,
    last_weights: Mapping[str, Decimal] | None = None,
) -> Target:
    """What the vault should hold by its policy, given the newest score and what was wanted last.

    Parameters
    ----------
    vault : configuration with base weights and limits.
    score : newest score of the vault; None if there is none.
    previous : state of the last target; None before the first. A vault starts in its stable leg, so None counts as
        RISK_OFF and says so in the reasons.
    now : market time, aware UTC.
    last_weights : weights of the last target, which the volatility target repeats when it may not speak; None before
        the first. The on/off rule needs its state alone.

    Returns
    -------
    Target
        Weights sum to exactly 1. With a missing, stale or degraded score the last target is repeated,
        `usable` is False and the reason says why: no number is ever made up.

    Raises
    ------
    PolicyError
        If the vault's configuration is impossible (see `check_vault`).
    """
    check_vault(vault)
    state = previous or PolicyState.RISK_OFF
    first = () if previous else (Reason.NO_PREVIOUS_STATE,)
    problem = _score_problem(score, vault, now)
    if score is None or score.score is None or problem is not None:
        reason, weights = problem or Reason.SCORE_MISSING, _repeated(vault, state, last_weights)
    elif vault.policy is PolicyName.VOLATILITY_TARGET:
        state, reason, weights = _volatility_target(vault, score)
    else:
        state, reason = next_state(state, score.score, vault.limits)
        weights = weights_in(vault, state)
    return Target(
        vault_id=vault.id,
        as_of=score.as_of if score else now,
        state=state,
        weights=weights,
        reasons=(reason, *first),
        score=score.score if score else None,
        policy_version=POLICY_VERSIONS[vault.policy],
        usable=problem is None,
    )


def decide(vault: VaultConfig, target: Target, state: VaultState, history: ActionHistory, now: datetime) -> Decision:
    """Join a target with what the vault holds, what was done before and the limits.

    Checks in order: same assets, target weights that are shares, usable and fresh score, dead zone, cooldown,
    turnover a day, step. The cooldown binds in both directions.

    Parameters
    ----------
    vault, target, state : over the same symbols; weights are shares of the vault.
    history : last action and turnover of the last 24 hours, market time.
    now : market time, aware UTC.

    Returns
    -------
    Decision
        REBALANCE with weights at most min(max_step, what the day has left) of turnover away, or HOLD, or REFUSE
        when the assets differ or the target is no allocation. Always with reasons.
    """
    limits = vault.limits
    symbols = {a.symbol for a in vault.assets}
    if set(target.weights) != symbols or set(state.weights) != symbols:
        return _no(Verdict.REFUSE, Reason.ASSETS_DIFFER, Decimal(0))
    if not is_allocation(target.weights):
        return _no(Verdict.REFUSE, Reason.POST_STATE_OUT_OF_BOUNDS, Decimal(0))
    drift = turnover(state.weights, target.weights)
    if not target.usable:
        return Decision(Verdict.HOLD, target.reasons, None, Decimal(0), drift)
    if target.score is None:
        return _no(Verdict.HOLD, Reason.SCORE_MISSING, drift)
    if now - target.as_of > timedelta(seconds=limits.max_score_age_s):
        return _no(Verdict.HOLD, Reason.SCORE_STALE, drift)
    if drift == 0 or drift < limits.dead_zone:
        return _no(Verdict.HOLD, Reason.DEAD_ZONE, drift)
    last = history.last_action_at
    if last is not None and now - last < timedelta(seconds=limits.cooldown_s):
        return _no(Verdict.HOLD, Reason.COOLDOWN, drift)
    left_today = limits.max_turnover_day - history.turnover_day
    step = min(limits.max_step, left_today)
    if step <= 0 or step < min(limits.dead_zone, drift):
        return _no(Verdict.HOLD, Reason.TURNOVER_DAY_REACHED, drift)
    weights = step_towards(state.weights, target.weights, step, stable_leg(vault))
    reasons = target.reasons
    if drift > step:
        reasons += (Reason.STEP_CAPPED if step == limits.max_step else Reason.TURNOVER_DAY_CAPPED,)
    return Decision(Verdict.REBALANCE, reasons, weights, turnover(state.weights, weights), drift)


def _volatility_target(vault: VaultConfig, score: Score) -> tuple[PolicyState, Reason, dict[str, Decimal]]:
    wanted, forecast = vault.limits.target_sigma_ann, score.sigma_ann
    assert wanted is not None  # check_vault
    assert forecast is not None  # _score_problem
    share = exposure(forecast, wanted, vault.limits.max_exposure)
    weights = scaled({a.symbol: a.base_weight for a in vault.assets if not a.stable}, share, _stable_legs(vault))
    state = PolicyState.RISK_OFF if share < 1 else PolicyState.RISK_ON
    reason = Reason.VOLATILITY_ABOVE_TARGET if forecast > wanted else Reason.VOLATILITY_WITHIN_TARGET
    return state, reason, weights


def _stable_legs(vault: VaultConfig) -> dict[str, Decimal]:
    return {a.symbol: a.base_weight for a in vault.assets if a.stable}


def _check_volatility_target(vault: VaultConfig) -> None:
    wanted, most = vault.limits.target_sigma_ann, vault.limits.max_exposure
    if wanted is None or not (math.isfinite(wanted) and wanted > 0):
        raise PolicyError(f"vault {vault.id}: the volatility target needs limits.target_sigma_ann above 0")
    risky = sum((a.base_weight for a in vault.assets if not a.stable), Decimal(0))
    if not (most > 0 and most * risky <= 1):
        raise PolicyError(f"vault {vault.id}: max_exposure must be above 0 and times the risky base weights at most 1")


def _repeated(
    vault: VaultConfig, state: PolicyState, last_weights: Mapping[str, Decimal] | None
) -> Mapping[str, Decimal]:
    """Weights of a target that may not be acted on: those of the last one."""
    if vault.policy is PolicyName.VOLATILITY_TARGET and last_weights is not None:
        return last_weights
    return weights_in(vault, state)


def _score_problem(score: Score | None, vault: VaultConfig, now: datetime) -> Reason | None:
    limits = vault.limits
    if score is None:
        return Reason.SCORE_MISSING
    if score.status is ScoreStatus.STALE or now - score.as_of > timedelta(seconds=limits.max_score_age_s):
        return Reason.SCORE_STALE
    if score.status is ScoreStatus.DEGRADED or not score.share_imputed <= limits.max_share_imputed:  # or NaN
        return Reason.SCORE_DEGRADED
    if score.score is None or not math.isfinite(score.score):
        return Reason.SCORE_MISSING
    sigma = score.sigma_ann
    if vault.policy is PolicyName.VOLATILITY_TARGET and (sigma is None or not (math.isfinite(sigma) and sigma > 0)):
        return Reason.SCORE_MISSING
    return None


def _no(verdict: Verdict, reason: Reason, drift: Decimal) -> Decision:
    return Decision(verdict, (reason,), None, Decimal(0), drift)
