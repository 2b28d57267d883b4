"""From weights to integer instructions and back: valuing a vault, planning swaps, bounding what may come out.

Pure. Prices are dollars a whole token from our own data, never from a pool's reserves: they set the least amount a
swap must return. The stable leg is the unit of account, 1 dollar unless a price for it is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, Decimal

from keeper.gateway import AssetFunds, Instruction, SwapExactIn, Unwind, VaultView
from keeper.limits import KeeperLimits
from models.allocation.policy import stable_leg
from models.allocation.weights import turnover, weights_of
from models.contracts.vault import VaultAsset, VaultConfig, VaultState

SHARE_DECIMALS = 7  # the vault's share token
_BPS = Decimal(10_000)


class MissingPrice(ValueError):
    """A leg cannot be valued; the message names it."""


@dataclass(frozen=True, slots=True)
class TradePlan:
    """Instructions in order, and the least and most idle base units of each token the vault may hold afterwards.

    `worst`: weights if every swap returns its least amount; `turnover`: distance to them; `swapped_usd`: dollars sold
    or bought, whichever is more, at our own prices; `left_out`: legs for which no instruction was left.
    """

    instructions: tuple[Instruction, ...]
    low: Mapping[str, int]
    high: Mapping[str, int]
    worst: Mapping[str, Decimal]
    turnover: Decimal
    loss: Decimal  # share of the vault lost if every swap returns its least amount
    idle: Mapping[str, int]  # idle base units of each token before
    swapped_usd: Decimal
    left_out: tuple[str, ...] = ()


def price_of(asset: VaultAsset, prices: Mapping[str, Decimal]) -> Decimal:
    """Dollars a whole token. Raises MissingPrice if a leg that is not stable has no positive price."""
    price = prices.get(asset.symbol, Decimal(1) if asset.stable else None)
    if price is None or not price.is_finite() or price <= 0:
        raise MissingPrice(f"vault leg {asset.symbol}: no usable price in `prices`")
    return price


def state_of(vault: VaultConfig, view: VaultView, prices: Mapping[str, Decimal]) -> VaultState:
    """Weights, value in dollars and share price of a vault as the chain shows it.

    Raises
    ------
    MissingPrice
        If a leg has no price.
    ValueError
        If the vault holds nothing.
    """
    values = _values(vault, {f.asset: f.total for f in view.funds}, prices)
    tvl = sum(values.values(), Decimal(0))
    shares = Decimal(view.shares).scaleb(-SHARE_DECIMALS)
    return VaultState(vault.id, weights_of(values), tvl, tvl / shares if shares else None, view.ledger)


def plan_trades(
    vault: VaultConfig,
    view: VaultView,
    prices: Mapping[str, Decimal],
    weights: Mapping[str, Decimal],
    limits: KeeperLimits,
) -> TradePlan:
    """Swaps through the stable leg that bring the vault from `view` towards `weights`.

    Sells come first; buys spend at most the idle stable amount plus the least that the sells return, so the list
    never needs an amount that is unknown when it is built. Funds in strategies are unwound as needed. Trades below
    `limits.min_trade` and beyond `limits.max_instructions` are left for a later tick.

    Raises
    ------
    MissingPrice, ValueError
        As `state_of`.
    """
    state = state_of(vault, view, prices)
    funds = {f.asset: f for f in view.funds}
    stable = next(a for a in vault.assets if a.symbol == stable_leg(vault))
    stable_token = _token(stable)
    keep = 1 - Decimal(vault.limits.max_slippage_bps) / _BPS
    # A paused strategy was paused or rescued by somebody: hands off, whatever the weights say.
    held = {token: f.idle + sum(s.amount for s in f.strategies if not s.paused) for token, f in funds.items()}
    idle = {token: f.idle for token, f in funds.items()}
    invested = {token: f.total - f.idle for token, f in funds.items()}
    low, high = dict(idle), dict(idle)
    out: list[Instruction] = []
    left_out: list[str] = []
    sold_usd = bought_usd = Decimal(0)

    def unwind(token: str, steps: tuple[Unwind, ...]) -> None:
        back = sum(step.amount for step in steps)
        low[token] += back
        high[token] += back
        invested[token] -= back

    moves = sorted(
        ((weights[a.symbol] - state.weights[a.symbol], a) for a in vault.assets if a.symbol != stable.symbol),
        key=lambda m: (m[0] > 0, -abs(m[0])),
    )
    moves = [m for m in moves if abs(m[0]) >= limits.min_trade]
    funding = funds[stable_token].idle

    for delta, asset in (m for m in moves if m[0] < 0):
        token = _token(asset)
        everything = weights[asset.symbol] == 0
        amount = held[token] if everything else _units(-delta * state.tvl_usd / price_of(asset, prices), asset)
        amount = min(amount, held[token])
        fair = Decimal(amount).scaleb(-asset.decimals) * price_of(asset, prices) / price_of(stable, prices)
        least, most = _units(fair * keep, stable), _units(fair * (2 - keep), stable)
        back = _unwinds(funds[token], amount)
        if amount <= 0 or least <= 0:
            continue
        if len(out) + len(back) + 1 > limits.max_instructions:
            left_out.append(asset.symbol)
            continue
        sold_usd += fair * price_of(stable, prices)
        out.extend((*back, SwapExactIn(token, stable_token, amount, least)))
        unwind(token, back)
        low[token] -= amount
        high[token] -= amount
        low[stable_token] += least
        high[stable_token] += most
        funding += least

    buys = [(_units(delta * state.tvl_usd / price_of(stable, prices), stable), a) for delta, a in moves if delta > 0]
    wanted = sum(amount for amount, _ in buys)
    back = _unwinds(funds[stable_token], funds[stable_token].idle + max(0, wanted - funding)) if buys else ()
    if len(out) + len(back) < limits.max_instructions:
        out.extend(back)
        unwind(stable_token, back)
        funding += sum(step.amount for step in back)
    for amount, asset in buys:
        spend = amount if wanted <= funding else amount * funding // wanted
        token = _token(asset)
        fair = Decimal(spend).scaleb(-stable.decimals) * price_of(stable, prices) / price_of(asset, prices)
        least, most = _units(fair * keep, asset), _units(fair * (2 - keep), asset)
        if spend <= 0 or least <= 0:
            continue
        if len(out) >= limits.max_instructions:
            left_out.append(asset.symbol)
            continue
        bought_usd += fair * price_of(asset, prices)
        out.append(SwapExactIn(stable_token, token, spend, least))
        low[stable_token] -= spend
        high[stable_token] -= spend
        low[token] += least
        high[token] += most

    after = _values(vault, {token: low[token] + invested[token] for token in low}, prices)
    worst = weights_of(after)
    loss = 1 - sum(after.values(), Decimal(0)) / state.tvl_usd
    swapped = max(sold_usd, bought_usd)
    moved = turnover(state.weights, worst)
    return TradePlan(tuple(out), low, high, worst, moved, loss, idle, swapped, tuple(left_out))


def shrunk(view: VaultView, share: Decimal) -> VaultView:
    """The vault as if each strategy held `share` less: what a plan may take when the whole amount was refused."""

    def smaller(funds: AssetFunds) -> AssetFunds:
        kept = tuple(replace(s, amount=int(s.amount * (1 - share))) for s in funds.strategies)
        lost = sum(s.amount for s in funds.strategies) - sum(s.amount for s in kept)
        return replace(funds, total=funds.total - lost, strategies=kept)

    return replace(view, funds=tuple(smaller(f) for f in view.funds))


def outside_bounds(plan: TradePlan, balances: Mapping[str, tuple[int, int]] | None) -> str | None:
    """Why simulated idle balances contradict the plan, None if they agree. A token not reported did not move."""
    if balances is None:
        return "the node reports no state changes, so the outcome cannot be checked"
    for token, (_, after) in balances.items():
        if token not in plan.low:
            return f"an unknown token {token} would move"
        if not plan.low[token] <= after <= plan.high[token]:
            return f"token {token} would end at {after}, outside {plan.low[token]} to {plan.high[token]}"
    # A token that is unwound and sold, or sold and bought, may end where it began; any other has to move.
    still = [t for t in sorted(plan.low.keys() - balances.keys()) if not plan.low[t] <= plan.idle[t] <= plan.high[t]]
    return f"token {still[0]} would not move" if still else None


def _values(vault: VaultConfig, amounts: Mapping[str, int], prices: Mapping[str, Decimal]) -> dict[str, Decimal]:
    return {
        a.symbol: Decimal(amounts.get(_token(a), 0)).scaleb(-a.decimals) * price_of(a, prices) for a in vault.assets
    }


def _token(asset: VaultAsset) -> str:
    if asset.contract is None:
        raise ValueError(f"vault leg {asset.symbol}: contract is not set")
    return asset.contract


def _units(whole: Decimal, asset: VaultAsset) -> int:
    return int(whole.scaleb(asset.decimals).to_integral_value(rounding=ROUND_DOWN))


def _unwinds(funds: AssetFunds, amount: int) -> tuple[Unwind, ...]:
    """Unwinds that raise the idle amount to `amount`, largest strategy first."""
    short, steps = amount - funds.idle, []
    for strategy in sorted((s for s in funds.strategies if not s.paused), key=lambda s: -s.amount):
        take = min(short, strategy.amount)
        if take > 0:
            steps.append(Unwind(strategy.address, take))
            short -= take
    return tuple(steps)
