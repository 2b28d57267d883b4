"""The devnet's contract world: a vault with the DeFindex interface, its strategies, and swaps at set prices.

A model of behaviour, not of code: what each call moves and which error number it fails with. Amounts are base units,
prices dollars a whole token. XDR is `keeper.devnet.shapes`, ledgers and fees are `keeper.devnet.chain`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from typing import Any

SWAP_FEE = Decimal("0.003")  # of a constant-product pair with the usual fee

AMOUNT_NOT_ALLOWED, UNSUPPORTED_ASSET, NO_INSTRUCTIONS = 110, 116, 125
UNWIND_MORE_THAN_AVAILABLE, UNAUTHORIZED, STRATEGY_NOT_FOUND, STRATEGY_PAUSED = 128, 130, 140, 144
EXCESSIVE_INPUT, ROUTER_ERROR, LEAST_OUTPUT_MISSED, DEADLINE_EXPIRED, BALANCE_TOO_LOW = 161, 200, 201, 421, 10


class ContractError(Exception):
    """The contract refused; nothing of the call remains."""

    def __init__(self, number: int) -> None:
        super().__init__(f"Error(Contract, #{number})")
        self.number = number


@dataclass
class Token:
    symbol: str
    decimals: int
    price: str | None = None  # dollars a whole token; None until set: no swap


@dataclass
class Strategy:
    token: str
    amount: int
    paused: bool = False
    gain: int = 0  # part of `amount` that came since the vault last took its fee
    locked: int = 0  # fees taken out of `amount`, not yet handed over


@dataclass
class VaultModel:
    """One deployed vault. `applied` counts successful rebalances: the devnet's own witness of what happened."""

    address: str
    rebalance_manager: str
    manager: str
    idle: dict[str, int]
    strategies: dict[str, Strategy] = field(default_factory=dict)
    shares: int = 0
    applied: int = 0
    fee_bps: int = 0  # the vault's share of gains

    def funds(self) -> list[dict[str, Any]]:
        """What `fetch_total_managed_funds` reports, per token in order of deployment."""
        rows = []
        for token, idle in self.idle.items():
            own = {a: s for a, s in self.strategies.items() if s.token == token}
            invested = sum(s.amount for s in own.values())
            rows.append({"asset": token, "idle": idle, "invested": invested, "strategies": own})
        return rows

    def rebalance(
        self, caller: str, instructions: Sequence[Sequence[Any]], now_s: int, tokens: Mapping[str, Token]
    ) -> None:
        """Apply all instructions or raise ContractError. Works in place: call it on a copy."""
        if caller not in (self.rebalance_manager, self.manager):
            raise ContractError(UNAUTHORIZED)
        if not instructions:
            raise ContractError(NO_INSTRUCTIONS)
        steps: dict[str, Callable[..., None]] = {
            "Unwind": self._unwind,
            "Invest": self._invest,
            "SwapExactIn": self._swap_exact_in,
            "SwapExactOut": self._swap_exact_out,
        }
        for name, *fields in instructions:
            amounts = [f for f in fields if isinstance(f, int)]
            if amounts[0] <= 0:
                raise ContractError(AMOUNT_NOT_ALLOWED)
            if name in ("Unwind", "Invest"):
                steps[name](*fields)
            else:
                steps[name](*fields, now_s=now_s, tokens=tokens)
        self.applied += 1

    def _strategy(self, address: str) -> Strategy:
        if address not in self.strategies:
            raise ContractError(STRATEGY_NOT_FOUND)
        return self.strategies[address]

    def _unwind(self, address: str, amount: int) -> None:
        strategy = self._strategy(address)
        fee = strategy.gain * self.fee_bps // 10_000
        strategy.amount, strategy.locked, strategy.gain = strategy.amount - fee, strategy.locked + fee, 0
        if amount > strategy.amount:
            raise ContractError(UNWIND_MORE_THAN_AVAILABLE)
        strategy.amount -= amount
        strategy.locked = 0  # handed to the receivers, outside the vault
        self.idle[strategy.token] += amount

    def _invest(self, address: str, amount: int) -> None:
        strategy = self._strategy(address)
        if strategy.paused:
            raise ContractError(STRATEGY_PAUSED)
        self._take(strategy.token, amount)
        strategy.amount += amount

    def _swap_exact_in(
        self, token_in: str, token_out: str, amount_in: int, least: int, deadline: int, now_s: int,
        tokens: Mapping[str, Token],
    ) -> None:  # fmt: skip
        self._check_swap(token_in, token_out, deadline, now_s)
        value = _value(tokens[token_in], amount_in) * (1 - SWAP_FEE)
        out = _amount(tokens[token_out], value)
        if out < least:
            raise ContractError(LEAST_OUTPUT_MISSED)
        self._take(token_in, amount_in)
        self.idle[token_out] += out

    def _swap_exact_out(
        self, token_in: str, token_out: str, amount_out: int, most: int, deadline: int, now_s: int,
        tokens: Mapping[str, Token],
    ) -> None:  # fmt: skip
        self._check_swap(token_in, token_out, deadline, now_s)
        value = _value(tokens[token_out], amount_out) / (1 - SWAP_FEE)
        spent = _amount(tokens[token_in], value) + 1
        if spent > most:
            raise ContractError(EXCESSIVE_INPUT)
        self._take(token_in, spent)
        self.idle[token_out] += amount_out

    def _check_swap(self, token_in: str, token_out: str, deadline: int, now_s: int) -> None:
        if token_in not in self.idle or token_out not in self.idle or token_in == token_out:
            raise ContractError(UNSUPPORTED_ASSET)
        if deadline < now_s:
            raise ContractError(DEADLINE_EXPIRED)

    def _take(self, token: str, amount: int) -> None:
        if self.idle[token] < amount:
            raise ContractError(BALANCE_TOO_LOW)
        self.idle[token] -= amount


def _value(token: Token, amount: int) -> Decimal:
    if token.price is None:
        raise ContractError(ROUTER_ERROR)
    return Decimal(amount).scaleb(-token.decimals) * Decimal(token.price)


def _amount(token: Token, value: Decimal) -> int:
    if token.price is None:
        raise ContractError(ROUTER_ERROR)
    return int((value / Decimal(token.price)).scaleb(token.decimals).to_integral_value(rounding=ROUND_DOWN))
