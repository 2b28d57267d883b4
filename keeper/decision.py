"""The guards of a tick, in order, and the decision that comes out. Pure: all facts come in as values.

What to hold is the policy's (`models.allocation.policy`, the very function that is backtested); whether acting on it
is safe is decided here. Every path ends in a Decision with reasons.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from keeper.gateway import AccountView, VaultView
from keeper.limits import Control, ControlMode, KeeperConfig
from keeper.networks import allowed_data_modes
from keeper.post_state import post_state_problem
from keeper.prices import price_problem
from keeper.trades import MissingPrice, TradePlan, plan_trades, state_of
from models.allocation.policy import POLICY_VERSIONS, decide, stable_leg, streak_after
from models.allocation.weights import turnover
from models.contracts.market import DataMode
from models.contracts.vault import ActionHistory, Decision, Reason, Streak, Target, VaultConfig, VaultState, Verdict


@dataclass(frozen=True, slots=True)
class TargetInput:
    """A row of `risk.target_allocations` with the prices that were known with it.

    `prices`: dollars a whole token by symbol; the stable leg may be left out (1 dollar). `second_prices`: the same from
    another source, as far as there is one. `valid_until`: market time.
    """

    target: Target
    valid_until: datetime
    data_mode: DataMode
    share_imputed: float
    prices: Mapping[str, Decimal]
    model_version: str = ""
    target_id: int | None = None
    second_prices: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """What the chain said at the start of the tick."""

    passphrase: str
    account: AccountView
    vault: VaultView
    protocol: int = 0


@dataclass(frozen=True, slots=True)
class Judgement:
    """A decision with what it rests on; `trades` only with a rebalance. `streak`: what the next tick remembers of this
    score, None if the policy was not asked. `problem`: why the state after the trades was refused."""

    decision: Decision
    state: VaultState | None = None
    trades: TradePlan | None = None
    streak: Streak | None = None
    problem: str | None = None


def refuse_early(config: KeeperConfig, row: TargetInput | None, control: Control, now: datetime) -> Decision | None:
    """Guards that need no chain, in order: kill switch; score present, in range, of an allowed model, fresh; policy
    version; live data; inputs complete; two price sources that agree."""
    return next(_early(config, row, control, now), None)


def judge(
    config: KeeperConfig,
    row: TargetInput,
    control: Control,
    facts: ChainFacts,
    history: ActionHistory,
    now: datetime,
) -> Judgement:
    """Run all guards in order and let the policy decide.

    Order: the early guards; network, code, role, reserve; the policy (dead zone, dwell, cooldown, caps, benefit); then
    the state after the trades is checked as a whole (`keeper.post_state`).

    Parameters
    ----------
    row : newest target; `refuse_early` has dealt with a missing one.
    history : confirmed actions in market time, and what the scores before asked for.
    now : market time, aware UTC.
    """
    early = refuse_early(config, row, control, now) or next(_chain(config, facts), None)
    if early is not None:
        return Judgement(early)
    try:
        state = state_of(config.vault, facts.vault, row.prices)
    except MissingPrice:
        return Judgement(_refuse(Reason.PRICE_MISSING))
    except ValueError:
        return Judgement(_refuse(Reason.VAULT_EMPTY))
    decision = decide(config.vault, row.target, state, history, now)
    streak = streak_after(config.vault, row.target, state, history.streak, now)
    if decision.verdict is not Verdict.REBALANCE or decision.weights is None:
        return Judgement(decision, state, streak=streak)
    weights = decision.weights
    stable = _stable_share(config.vault, weights) - _stable_share(config.vault, state.weights)
    reduce_only = control.mode is ControlMode.REDUCE_ONLY
    if reduce_only and stable <= 0:
        return Judgement(_refuse(Reason.KILL_SWITCH_REDUCE_ONLY, decision), state, streak=streak)
    trades = plan_trades(config.vault, facts.vault, row.prices, weights, config.limits)
    if trades.left_out and _one_way(config.vault, state, weights):
        weights = _without(config.vault, state, weights, trades.left_out)
        reasons, moved = (*decision.reasons, Reason.INSTRUCTIONS_CAPPED), turnover(state.weights, weights)
        decision = replace(decision, weights=weights, turnover=moved, reasons=reasons)
        trades = plan_trades(config.vault, facts.vault, row.prices, weights, config.limits)
    if not trades.instructions:
        return Judgement(_hold(Reason.NOTHING_TO_TRADE, decision), state, streak=streak)
    problem = post_state_problem(config.vault, state, weights, trades, history, config.limits, reduce_only)
    if problem is not None:
        refused = _refuse(Reason.POST_STATE_OUT_OF_BOUNDS, decision)
        return Judgement(refused, state, streak=streak, problem=problem)
    return Judgement(decision, state, trades, streak)


def _one_way(vault: VaultConfig, state: VaultState, weights: Mapping[str, Decimal]) -> bool:
    """Whether all risky legs go the same way, so that any of them may wait for a later tick without a detour."""
    stable = stable_leg(vault)
    moves = [weights[s] - w for s, w in state.weights.items() if s != stable]
    return all(move >= 0 for move in moves) or all(move <= 0 for move in moves)


def _without(
    vault: VaultConfig, state: VaultState, weights: Mapping[str, Decimal], left_out: tuple[str, ...]
) -> dict[str, Decimal]:
    """The decided weights, but legs for which the transaction has no room stay where they are."""
    stable = stable_leg(vault)
    found = {s: state.weights[s] if s in left_out else w for s, w in weights.items()}
    found[stable] = 1 - sum((w for s, w in found.items() if s != stable), Decimal(0))
    return found


def _early(config: KeeperConfig, row: TargetInput | None, control: Control, now: datetime) -> Iterator[Decision]:
    if control.mode is ControlMode.HALT:
        yield _refuse(Reason.KILL_SWITCH_HALT)
    if row is None:
        yield _hold(Reason.NO_TARGET)
        return
    score = row.target.score
    limits = config.vault.limits
    blind = limits.min_benefit > 0 and row.target.sigma_ann is None
    if row.target.usable and (score is None or blind):
        yield _hold(Reason.SCORE_MISSING)
    if score is not None and not (math.isfinite(score) and 0 <= score <= 100):
        yield _refuse(Reason.SCORE_OUT_OF_RANGE)
    if limits.allowed_models is not None and row.model_version not in limits.allowed_models:
        yield _refuse(Reason.MODEL_NOT_ALLOWED)
    if now > row.valid_until or row.target.as_of > now:
        yield _hold(Reason.SCORE_EXPIRED)
    if row.target.policy_version != POLICY_VERSIONS[config.vault.policy]:
        yield _refuse(Reason.POLICY_VERSION_UNKNOWN)
    if row.data_mode not in allowed_data_modes(config.vault.network):
        yield _refuse(Reason.DATA_MODE_NOT_ALLOWED)
    if not row.share_imputed <= limits.max_share_imputed:  # NaN is no permission
        yield _refuse(Reason.INPUTS_IMPUTED)
    disagreement = price_problem(config.vault, row.prices, row.second_prices)
    if disagreement is not None:
        yield _refuse(disagreement)


def _chain(config: KeeperConfig, facts: ChainFacts) -> Iterator[Decision]:
    if facts.passphrase != config.passphrase:
        yield _refuse(Reason.WRONG_NETWORK)
    if facts.protocol > config.limits.max_protocol:
        yield _refuse(Reason.PROTOCOL_UNTESTED)
    if config.code_hash is not None and facts.vault.code_hash != config.code_hash:
        yield _refuse(Reason.CODE_CHANGED)
    if facts.vault.rebalance_manager != config.source_account:
        yield _refuse(Reason.ROLE_MOVED)
    if {f.asset for f in facts.vault.funds} != {a.contract for a in config.vault.assets}:
        yield _refuse(Reason.ASSETS_DIFFER)
    if facts.account.balance_stroops < config.limits.reserve_stroops + config.vault.limits.max_fee_stroops:
        yield _refuse(Reason.BALANCE_BELOW_RESERVE)


def _stable_share(vault: VaultConfig, weights: Mapping[str, Decimal]) -> Decimal:
    return sum((weights[a.symbol] for a in vault.assets if a.stable), Decimal(0))


def _hold(reason: Reason, after: Decision | None = None) -> Decision:
    return Decision(Verdict.HOLD, (reason,), None, Decimal(0), after.drift if after else Decimal(0))


def _refuse(reason: Reason, after: Decision | None = None) -> Decision:
    return Decision(Verdict.REFUSE, (reason,), None, Decimal(0), after.drift if after else Decimal(0))
