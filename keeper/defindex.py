"""The DeFindex vault interface in XDR: arguments of `rebalance`, answers of its reads, meaning of its errors.

Facts about one contract family; another one would be another adapter. Sending and simulating is `keeper.soroban`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from stellar_sdk import scval, xdr

from keeper.gateway import (
    AssetFunds,
    Instruction,
    Invest,
    Remedy,
    StrategyFunds,
    SwapExactIn,
    SwapExactOut,
    Unwind,
)

# Numbers of the contract's own error enumeration that a keeper can meet.
ERRORS: Mapping[int, str] = {
    110: "amount_not_allowed",
    116: "unsupported_asset",
    125: "no_instructions",
    128: "unwind_more_than_available",
    130: "unauthorized",
    140: "strategy_not_found",
    142: "strategy_withdraw_error",
    144: "strategy_paused",
    161: "excessive_input_amount",
    200: "router_error",
    201: "swap_exact_in_error",
    202: "swap_exact_out_error",
    421: "deadline_expired",
    451: "amount_below_min_dust",
}
UNWIND_MORE_THAN_AVAILABLE, UNAUTHORIZED = 128, 130
_CONTRACT_ERROR = re.compile(r"Error\(Contract, #(\d+)\)")


class VaultAdapter(ABC):
    """How one family of vaults wants to be read and moved."""

    function: str
    funds_read: str
    shares_read: str
    manager_read: str

    @abstractmethod
    def arguments(self, caller: str, instructions: Sequence[Instruction], deadline_s: int) -> list[xdr.SCVal]:
        """Arguments of `function` for `instructions`; swaps expire at `deadline_s` (Unix seconds)."""

    @abstractmethod
    def funds(self, value: xdr.SCVal) -> tuple[AssetFunds, ...]:
        """Parse the answer of `funds_read`."""


class DefindexAdapter(VaultAdapter):
    function = "rebalance"
    funds_read = "fetch_total_managed_funds"
    shares_read = "total_supply"
    manager_read = "get_rebalance_manager"

    def arguments(self, caller: str, instructions: Sequence[Instruction], deadline_s: int) -> list[xdr.SCVal]:
        return [scval.to_address(caller), scval.to_vec([_instruction(i, deadline_s) for i in instructions])]

    def funds(self, value: xdr.SCVal) -> tuple[AssetFunds, ...]:
        rows: Any = scval.to_native(value)
        return tuple(
            AssetFunds(
                asset=row["asset"].address,
                total=int(row["total_amount"]),
                idle=int(row["idle_amount"]),
                strategies=tuple(
                    StrategyFunds(s["strategy_address"].address, int(s["amount"]), bool(s["paused"]))
                    for s in row["strategy_allocations"]
                ),
            )
            for row in rows
        )


def error_number(text: str) -> int | None:
    """Number in the first `Error(Contract, #n)` of a simulation error, None without one."""
    found = _CONTRACT_ERROR.search(text)
    return int(found.group(1)) if found else None


def error_name(number: int | None) -> str:
    """Name of a contract error; unknown numbers keep their number."""
    return ERRORS.get(number, f"contract_error_{number}") if number is not None else "host_error"


def remedy_for(number: int | None) -> Remedy:
    """What a contract error asks of the caller.

    The vault takes its fees before it looks at what is left, so the whole reported amount of a strategy with fresh
    gains cannot be taken: a little less can. A role that moved is somebody's deliberate act.
    """
    if number == UNWIND_MORE_THAN_AVAILABLE:
        return Remedy.SHRINK
    return Remedy.STOP if number == UNAUTHORIZED else Remedy.NONE


def _instruction(step: Instruction, deadline_s: int) -> xdr.SCVal:
    if isinstance(step, Unwind | Invest):
        return scval.to_enum(type(step).__name__, [scval.to_address(step.strategy), scval.to_int128(step.amount)])
    tokens = [scval.to_address(step.token_in), scval.to_address(step.token_out)]
    if isinstance(step, SwapExactIn):
        amounts = [scval.to_int128(step.amount_in), scval.to_int128(step.amount_out_min)]
    else:
        amounts = [scval.to_int128(step.amount_out), scval.to_int128(step.amount_in_max)]
    name = SwapExactOut.__name__ if isinstance(step, SwapExactOut) else SwapExactIn.__name__
    return scval.to_enum(name, [*tokens, *amounts, scval.to_uint64(deadline_s)])
