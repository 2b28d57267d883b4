"""The joint check of a plan: the vault as it would be afterwards, at its worst, against all caps at once. Pure.

Caps that are applied leg by leg or one after another can leave a vault that nobody decided on: half of a rotation, a
purchase whose sale was cut off. Such a plan is refused as a whole, not carried out as far as it goes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from keeper.limits import KeeperLimits
from keeper.trades import TradePlan
from models.allocation.policy import stable_leg
from models.contracts.vault import ActionHistory, VaultConfig, VaultState

DUST = Decimal("1e-6")  # share of the vault: what rounding to base units may move


def post_state_problem(
    vault: VaultConfig,
    state: VaultState,
    weights: Mapping[str, Decimal],
    trades: TradePlan,
    history: ActionHistory,
    limits: KeeperLimits,
    reduce_only: bool = False,
) -> str | None:
    """Why the vault after `trades` must not come about, None if it may.

    Parameters
    ----------
    state : of the vault before, at the prices of the plan.
    weights : decided, the ones the plan was made for.
    trades : with `worst`, the weights if every swap returns its least amount.
    history : what was moved in the last 24 hours.
    reduce_only : whether the switch allows moves into the stable leg alone.
    """
    return next(_problems(vault, state, weights, trades, history, limits, reduce_only), None)


def _problems(
    vault: VaultConfig,
    state: VaultState,
    weights: Mapping[str, Decimal],
    trades: TradePlan,
    history: ActionHistory,
    limits: KeeperLimits,
    reduce_only: bool,
) -> Iterator[str]:
    if min(trades.low.values()) < 0 or min(trades.worst.values()) < 0:
        yield "a leg would end below zero"
    moved = trades.swapped_usd / state.tvl_usd
    for name, cap in _caps(vault, state, history):
        if moved > cap + DUST:
            yield f"{moved:.6f} of the vault would move, {name} leaves {cap:.6f}"
    # A sale and the purchase it pays for lose the slippage twice.
    slippage = 2 * moved * Decimal(vault.limits.max_slippage_bps) / 10_000 + DUST
    if trades.loss > slippage:
        yield f"{trades.loss:.6f} of the vault could be lost, slippage allows {slippage:.6f}"
    stable = stable_leg(vault)
    for symbol, decided in weights.items():
        # A trade below the least one is left out, and the stable leg keeps what all of them would have moved.
        left = limits.min_trade * (len(weights) if symbol == stable else 1)
        if abs(trades.worst[symbol] - decided) > slippage + left:
            yield f"{symbol} would end at {trades.worst[symbol]:.6f}, not at the decided {decided:.6f}"
    if reduce_only and _stable(vault, trades.worst) <= _stable(vault, state.weights):
        yield "the stable legs would not grow while only reductions are allowed"


def _caps(vault: VaultConfig, state: VaultState, history: ActionHistory) -> Iterator[tuple[str, Decimal]]:
    """Shares of the vault that each cap still leaves."""
    limits = vault.limits
    yield "max_step", limits.max_step
    yield "max_turnover_day", limits.max_turnover_day - history.turnover_day
    if limits.max_action_usd is not None:
        yield "max_action_usd", limits.max_action_usd / state.tvl_usd
    if limits.max_day_usd is not None:
        yield "max_day_usd", (limits.max_day_usd - history.moved_usd_day) / state.tvl_usd


def _stable(vault: VaultConfig, weights: Mapping[str, Decimal]) -> Decimal:
    return sum((weights[asset.symbol] for asset in vault.assets if asset.stable), Decimal(0))
