"""Calls into the devnet's contracts: reads, and `rebalance` with what it touches. Nothing is committed here."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from stellar_sdk import Address, TransactionEnvelope, scval, xdr
from stellar_sdk.operation import InvokeHostFunction

from keeper.devnet import shapes
from keeper.devnet.state import ChainState
from keeper.devnet.vault_model import VaultModel

# What each variant of the contract's union carries; a value of another type never reaches the contract.
_ADDRESS, _I128, _U64 = xdr.SCValType.SCV_ADDRESS, xdr.SCValType.SCV_I128, xdr.SCValType.SCV_U64
_FIELDS = {
    "Unwind": [_ADDRESS, _I128],
    "Invest": [_ADDRESS, _I128],
    "SwapExactIn": [_ADDRESS, _ADDRESS, _I128, _I128, _U64],
    "SwapExactOut": [_ADDRESS, _ADDRESS, _I128, _I128, _U64],
}

# What the contract's event calls each of them.
_METHODS = {"Unwind": "unwind", "Invest": "invest", "SwapExactIn": "SwapEIn", "SwapExactOut": "SwapEOut"}


class HostError(Exception):
    """The host refused before a contract could: unknown contract, unknown function, wrong arguments."""


@dataclass(frozen=True)
class Call:
    contract: str
    function: str
    args: list[xdr.SCVal]
    xdr: xdr.InvokeContractArgs


@dataclass(frozen=True)
class Effect:
    """Outcome of a call on a copy: `after` replaces the vault when it is applied, None for a read."""

    value: xdr.SCVal
    after: VaultModel | None = None
    before: VaultModel | None = None
    authorizer: str | None = None
    instructions: int = 0
    methods: tuple[str, ...] = ()

    def strategies(self) -> list[str]:
        """Strategies whose own data the call writes."""
        if self.before is None or self.after is None:
            return []
        return [a for a, s in self.after.strategies.items() if self.before.strategies[a] != s]

    def moved(self) -> dict[str, tuple[int, int]]:
        """(before, after) of each idle balance that changes, by token."""
        if self.before is None or self.after is None:
            return {}
        return {t: (self.before.idle[t], a) for t, a in self.after.idle.items() if self.before.idle[t] != a}


def call_of(envelope: TransactionEnvelope) -> Call | None:
    """The contract call of a transaction with exactly one operation of that kind, else None."""
    operations = envelope.transaction.operations
    if len(operations) != 1 or not isinstance(operations[0], InvokeHostFunction):
        return None
    call = operations[0].host_function.invoke_contract
    if call is None:
        return None
    contract = Address.from_xdr_sc_address(call.contract_address).address
    return Call(contract, call.function_name.sc_symbol.decode(), call.args, call)


def invoke(state: ChainState, call: Call, now_s: int) -> Effect:
    """Run a call against a copy of the state. Raises ContractError or HostError."""
    vault = state.vaults.get(call.contract)
    if vault is None:
        raise HostError("Error(Storage, MissingValue)")
    if call.function == "rebalance":
        return _rebalance(state, vault, call, now_s)
    reads = {
        "fetch_total_managed_funds": lambda: shapes.funds_value(vault),
        "get_assets": lambda: shapes.assets_value(vault),
        "total_supply": lambda: scval.to_int128(vault.shares),
        "get_rebalance_manager": lambda: scval.to_address(vault.rebalance_manager),
        "get_manager": lambda: scval.to_address(vault.manager),
    }
    if call.function not in reads:
        raise HostError("Error(WasmVm, MissingValue)")
    if call.args:
        raise HostError("Error(WasmVm, UnexpectedSize)")
    return Effect(reads[call.function]())


def _rebalance(state: ChainState, vault: VaultModel, call: Call, now_s: int) -> Effect:
    try:
        who, steps = call.args
        caller = scval.from_address(who).address
        instructions = [_plain(step) for step in scval.from_vec(steps)]
        after = copy.deepcopy(vault)
        after.rebalance(caller, instructions, now_s, state.tokens)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise HostError("Error(WasmVm, InvalidInput)") from error
    methods = tuple(_METHODS[step[0]] for step in instructions)
    return Effect(scval.to_void(), after, vault, caller, len(instructions), methods)


def _plain(step: xdr.SCVal) -> list[Any]:
    """A union value as [name, field, ...] with addresses as text. Raises ValueError, KeyError for a wrong type."""
    name, *values = scval.from_vec(step)
    plain: list[Any] = [scval.from_symbol(name)]
    if [value.type for value in values] != _FIELDS[plain[0]]:
        raise ValueError(f"{plain[0]}: fields of another type")
    for value in values:
        native = scval.to_native(value)
        plain.append(native.address if isinstance(native, Address) else native)
    return plain
