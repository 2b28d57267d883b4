"""The allocation policies: from a score to a target, and from a target to a decision. Backtest, stress and keeper call
these very functions.

A vault names its policy. VOLATILITY_TARGET, the default, scales the base weights down
(`models.allocation.volatility_target`); ON_OFF moves between them and the stable leg. `decide` is the same for both.

Pure: the time comes in, nothing is read or stored. Safety that concerns a chain, a network or an operator (kill
switch, data mode, roles) belongs to `keeper.decision`, which calls `decide` after its own guards.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal

from models.allocation.benefit import is_worth_its_cost
from models.allocation.volatility_target import exposure, scaled
from models.allocation.weights import ONE, QUANTUM, is_allocation, step_towards, turnover
from models.contracts.score import Score, ScoreStatus
from models.contracts.vault import (
    ActionHistory,
    Decision,
    PolicyName,
    PolicyState,
    Reason,
    Streak,
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
    band is not inverted, a volatility target names a volatility that is there to be had and every other limit lies in
    its range."""
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
    for name, is_good, range_ in _ranges(vault.limits):
        if not is_good:
            raise PolicyError(f"vault {vault.id}: {name} must be {range_}, not {getattr(vault.limits, name)}")
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
        sigma_ann=score.sigma_ann if score else None,
    )


def decide(vault: VaultConfig, target: Target, state: VaultState, history: ActionHistory, now: datetime) -> Decision:
    """Join a target with what the vault holds, what was done before and the limits.

    Checks in order: same assets, target weights that are shares, usable and fresh score, dead zone, dwell, cooldown,
    turnover a day, step, dollars an action and a day, benefit against cost. The cooldown binds in both directions,
    unless the vault has another one for moves into its stable leg (`cooldown_reduce_s`); nothing else is looser for
    them.

    Parameters
    ----------
    vault, target, state : over the same symbols; weights are shares of the vault.
    history : last action, turnover and dollars of the last 24 hours, and what the scores before asked for
        (`streak_after`).
    now : market time, aware UTC.

    Returns
    -------
    Decision
        REBALANCE with weights at most as far away as the tightest cap allows (step, what the day has left, dollars),
        or HOLD, or REFUSE when the assets differ or the target is no allocation. Always with reasons.
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
    streak = _extended(vault, target, state, history.streak)
    if streak.scores < limits.dwell_scores:
        return _no(Verdict.HOLD, Reason.DWELL, drift)
    last = history.last_action_at
    if last is not None and now - last < timedelta(seconds=_cooldown_s(limits, streak.reduces)):
        return _no(Verdict.HOLD, Reason.COOLDOWN, drift)
    left_today = limits.max_turnover_day - history.turnover_day
    step = min(limits.max_step, left_today)
    if step <= 0 or step < min(limits.dead_zone, drift):
        return _no(Verdict.HOLD, Reason.TURNOVER_DAY_REACHED, drift)
    capped = Reason.STEP_CAPPED if step == limits.max_step else Reason.TURNOVER_DAY_CAPPED
    dollars = _dollars_allowed(limits, history)
    if dollars is not None and dollars < min(step, drift) * state.tvl_usd:
        if dollars <= 0 or dollars < _least_dollars(limits, drift, state):
            return _no(Verdict.HOLD, Reason.VALUE_CAP_REACHED, drift)
        step, capped = (dollars / state.tvl_usd).quantize(QUANTUM, rounding=ROUND_DOWN), Reason.VALUE_CAPPED
    weights = step_towards(state.weights, target.weights, step, stable_leg(vault))
    if not is_worth_its_cost(vault, state, weights, target.sigma_ann):
        return _no(Verdict.HOLD, Reason.BENEFIT_BELOW_COST, drift)
    reasons = (*target.reasons, capped) if drift > step else target.reasons
    return Decision(Verdict.REBALANCE, reasons, weights, turnover(state.weights, weights), drift)


def streak_after(vault: VaultConfig, target: Target, state: VaultState, streak: Streak, now: datetime) -> Streak:
    """What to remember of a score once `decide` was asked about it, for the `history` of the next.

    A score counts if it may be acted on and asks for a move out of the dead zone; one that asks for none, or for the
    other direction, begins anew. A score that is heard again counts once. One that may not be acted on changes nothing.
    """
    is_stale = now - target.as_of > timedelta(seconds=vault.limits.max_score_age_s)
    is_whole = target.weights.keys() == state.weights.keys() and is_allocation(target.weights)
    if not is_whole or not target.usable or target.score is None or is_stale:
        return streak
    return _extended(vault, target, state, streak)


def _extended(vault: VaultConfig, target: Target, state: VaultState, streak: Streak) -> Streak:
    drift = turnover(state.weights, target.weights)
    if drift == 0 or drift < vault.limits.dead_zone:
        return Streak(_newest(target, streak))
    stable = stable_leg(vault)
    reduces = target.weights[stable] > state.weights[stable]
    if streak.scores == 0 or streak.reduces != reduces:
        return Streak(_newest(target, streak), reduces, 1)
    is_new = streak.as_of is None or target.as_of > streak.as_of
    return Streak(_newest(target, streak), reduces, streak.scores + is_new)


def _newest(target: Target, streak: Streak) -> datetime:
    return target.as_of if streak.as_of is None else max(target.as_of, streak.as_of)


def _dollars_allowed(limits: VaultLimits, history: ActionHistory) -> Decimal | None:
    """Turnover in dollars that one action may have now, None without such caps."""
    today = None if limits.max_day_usd is None else limits.max_day_usd - history.moved_usd_day
    caps = [cap for cap in (limits.max_action_usd, today) if cap is not None]
    return min(caps) if caps else None


def _least_dollars(limits: VaultLimits, drift: Decimal, state: VaultState) -> Decimal:
    """A rest of the day's dollars below this is not worth a transaction: as much as the dead zone, or as a whole action
    where the caps allow less."""
    caps = [cap for cap in (limits.max_action_usd, limits.max_day_usd) if cap is not None]
    return min(min(limits.dead_zone, drift) * state.tvl_usd, *caps)


def _cooldown_s(limits: VaultLimits, reduces: bool) -> int:
    own = limits.cooldown_reduce_s
    return own if reduces and own is not None else limits.cooldown_s


def needs_volatility(vault: VaultConfig) -> bool:
    """Whether a score without a volatility forecast is none for this vault: its target or its benefit rests on it."""
    return vault.policy is PolicyName.VOLATILITY_TARGET or vault.limits.min_benefit > 0


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


def _ranges(limits: VaultLimits) -> Iterator[tuple[str, bool, str]]:
    """Limits that have to be told apart from nonsense: name, whether it is sound, what it must be."""
    own, gap = limits.cooldown_reduce_s, limits.max_price_gap
    yield "dwell_scores", limits.dwell_scores >= 1, "at least 1"
    yield "cooldown_reduce_s", own is None or 0 <= own <= limits.cooldown_s, f"0 to cooldown_s ({limits.cooldown_s})"
    yield "min_benefit", math.isfinite(limits.min_benefit) and limits.min_benefit >= 0, "0 or more"
    yield "cost_bps", limits.cost_bps >= 0, "0 or more"
    yield "cost_usd", limits.cost_usd.is_finite() and limits.cost_usd >= 0, "0 or more"
    yield "max_price_gap", gap is None or (gap.is_finite() and 0 < gap < 1), "above 0 and below 1"
    for name in ("max_action_usd", "max_day_usd"):
        cap: Decimal | None = getattr(limits, name)
        yield name, cap is None or (cap.is_finite() and cap > 0), "above 0"
    yield "allowed_models", limits.allowed_models is None or len(limits.allowed_models) > 0, "a model version or more"


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
    if needs_volatility(vault) and (sigma is None or not (math.isfinite(sigma) and sigma > 0)):
        return Reason.SCORE_MISSING
    return None


def _no(verdict: Verdict, reason: Reason, drift: Decimal) -> Decision:
    return Decision(verdict, (reason,), None, Decimal(0), drift)
