"""The guards of a tick, in order, and the decision that comes out. Pure: all facts come in as values.

What to hold is the policy's (`models.allocation.policy`, the very function that is backtested); whether acting on it
is safe is decided here. Every path ends in a Decision with reasons.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from keeper.gateway import AccountView, VaultView
from keeper.limits import Control, ControlMode, KeeperConfig
from keeper.networks import allowed_data_modes
from keeper.trades import MissingPrice, TradePlan, plan_trades, state_of
from models.allocation.policy import POLICY_VERSIONS, decide
from models.contracts.market import DataMode
from models.contracts.vault import ActionHistory, Decision, Reason, Target, VaultConfig, VaultState, Verdict


@dataclass(frozen=True, slots=True)
class TargetInput:
    """A row of `risk.target_allocations` with the prices that were known with it.

    `prices`: dollars a whole token by symbol; the stable leg may be left out (1 dollar). `valid_until`: market time.
    """

    target: Target
    valid_until: datetime
    data_mode: DataMode
    share_imputed: float
    prices: Mapping[str, Decimal]
    model_version: str = ""
    target_id: int | None = None


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """What the chain said at the start of the tick."""

    passphrase: str
    account: AccountView
    vault: VaultView


@dataclass(frozen=True, slots=True)
class Judgement:
    """A decision with what it rests on; `trades` only with a rebalance."""

    decision: Decision
    state: VaultState | None = None
    trades: TradePlan | None = None


def refuse_early(config: KeeperConfig, row: TargetInput | None, control: Control, now: datetime) -> Decision | None:
    """Guards that need no chain: kill switch, score present, in range and fresh, data mode, inputs complete."""
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

    Order: the early guards; network, code, role, reserve; the policy (cooldown, dead zone, caps); then the state
    after the trades is checked as a whole.

    Parameters
    ----------
    row : newest target; `refuse_early` has dealt with a missing one.
    history : confirmed actions in market time.
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
    if decision.verdict is not Verdict.REBALANCE or decision.weights is None:
        return Judgement(decision, state)
    stable = _stable_share(config.vault, decision.weights) - _stable_share(config.vault, state.weights)
    if control.mode is ControlMode.REDUCE_ONLY and stable <= 0:
        return Judgement(_refuse(Reason.KILL_SWITCH_REDUCE_ONLY, decision), state)
    trades = plan_trades(config.vault, facts.vault, row.prices, decision.weights, config.limits)
    if not trades.instructions:
        return Judgement(_hold(Reason.NOTHING_TO_TRADE, decision), state)
    if not sound(config.vault, decision.weights, state, trades):
        return Judgement(_refuse(Reason.POST_STATE_OUT_OF_BOUNDS, decision), state)
    return Judgement(decision, state, trades)


def sound(vault: VaultConfig, weights: Mapping[str, Decimal], state: VaultState, trades: TradePlan) -> bool:
    """Joint check of the state after the trades at their worst: no leg negative, no more moved than the step allows
    and no more lost than the slippage on it, and no leg moved away from where it was meant to go."""
    slippage = Decimal(vault.limits.max_slippage_bps) / 10_000
    bound = vault.limits.max_step
    # Selling and then buying pays the slippage twice.
    allowed = bound * (1 + 2 * slippage) + slippage * bound
    slack = 2 * slippage * bound + Decimal("1e-6")
    return (
        all(amount >= 0 for amount in trades.low.values())
        and trades.turnover <= allowed
        and trades.loss <= 2 * slippage * bound
        and all(
            min(w, weights[s]) - slack <= trades.worst[s] <= max(w, weights[s]) + slack
            for s, w in state.weights.items()
        )
    )


def _early(config: KeeperConfig, row: TargetInput | None, control: Control, now: datetime) -> Iterator[Decision]:
    if control.mode is ControlMode.HALT:
        yield _refuse(Reason.KILL_SWITCH_HALT)
    if row is None:
        yield _hold(Reason.NO_TARGET)
        return
    score = row.target.score
    if row.target.usable and score is None:
        yield _hold(Reason.SCORE_MISSING)
    if score is not None and not (math.isfinite(score) and 0 <= score <= 100):
        yield _refuse(Reason.SCORE_OUT_OF_RANGE)
    if now > row.valid_until or row.target.as_of > now:
        yield _hold(Reason.SCORE_EXPIRED)
    if row.target.policy_version != POLICY_VERSIONS[config.vault.policy]:
        yield _refuse(Reason.POLICY_VERSION_UNKNOWN)
    if row.data_mode not in allowed_data_modes(config.vault.network):
        yield _refuse(Reason.DATA_MODE_NOT_ALLOWED)
    if not row.share_imputed <= config.vault.limits.max_share_imputed:  # NaN is no permission
        yield _refuse(Reason.INPUTS_IMPUTED)


def _chain(config: KeeperConfig, facts: ChainFacts) -> Iterator[Decision]:
    if facts.passphrase != config.passphrase:
        yield _refuse(Reason.WRONG_NETWORK)
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
