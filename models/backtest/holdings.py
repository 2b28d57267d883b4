"""What the vault holds, in exact arithmetic, and what an order does to it.

An order is what the keeper sends: swaps of exact amounts against the stable leg, tokens for a sale, dollars for a
purchase, fixed when it was decided. Sales come first; purchases get what there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from models.backtest.costs import Costs

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Order:
    """`sell`: tokens by symbol; `buy_usd`: dollars to spend by symbol."""

    sell: Mapping[str, Decimal]
    buy_usd: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Depth:
    """What the impact of a swap depends on, by symbol; empty where not known."""

    sigma_day: Mapping[str, float]
    depth_usd: Mapping[str, float]

    def cost(self, costs: Costs, symbol: str, notional_usd: Decimal) -> Decimal:
        return costs.of(notional_usd, self.sigma_day.get(symbol, 0.0), self.depth_usd.get(symbol, 0.0))


@dataclass(frozen=True, slots=True)
class Fill:
    """Tokens held afterwards, and dollars that were sold, bought and paid."""

    units: dict[str, Decimal]
    sold_usd: Decimal
    bought_usd: Decimal
    cost_usd: Decimal


def values_of(units: Mapping[str, Decimal], prices: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Dollars by symbol."""
    return {symbol: amount * prices[symbol] for symbol, amount in units.items()}


def order_to(
    weights: Mapping[str, Decimal],
    held: Mapping[str, Decimal],
    units: Mapping[str, Decimal],
    prices: Mapping[str, Decimal],
    cash: str,
) -> Order:
    """The order that takes a vault with weights `held` to `weights` at `prices`; a leg that is left is left wholly."""
    total = sum(values_of(units, prices).values(), ZERO)
    sell: dict[str, Decimal] = {}
    buy: dict[str, Decimal] = {}
    for symbol, weight in weights.items():
        move = weight - held[symbol]
        if symbol == cash or move == 0:
            continue
        if move > 0:
            buy[symbol] = move * total
        else:
            sell[symbol] = units[symbol] if weight == 0 else min(units[symbol], -move * total / prices[symbol])
    return Order(sell, buy)


def fill(
    order: Order,
    units: Mapping[str, Decimal],
    prices: Mapping[str, Decimal],
    share: Decimal,
    cash: str,
    costs: Costs,
    depth: Depth,
) -> Fill:
    """Carry out `share` (0-1) of each swap of an order at `prices`.

    Costs are taken from what a sale brings and from what a purchase spends, so the stable leg never goes below zero:
    where the sales brought less than was planned, all purchases shrink alike.
    """
    after = dict(units)
    money = units[cash] * prices[cash]
    sold = bought = paid = ZERO
    for symbol, amount in order.sell.items():
        tokens = min(after[symbol], amount * share)
        notional = tokens * prices[symbol]
        cost = depth.cost(costs, symbol, notional)
        after[symbol] -= tokens
        money += notional - cost
        sold, paid = sold + notional, paid + cost
    wanted = sum(order.buy_usd.values(), ZERO) * share
    scale = min(share, share * money / wanted) if wanted > 0 else ZERO
    for symbol, spend in order.buy_usd.items():
        notional = min(spend * scale, money)
        cost = depth.cost(costs, symbol, notional)
        after[symbol] += (notional - cost) / prices[symbol]
        money -= notional
        bought, paid = bought + notional, paid + cost
    after[cash] = money / prices[cash]
    return Fill(after, sold, bought, paid)
