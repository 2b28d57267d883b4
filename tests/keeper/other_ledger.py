"""A ledger of its own making: accounts, tokens at fixed prices, one DeFindex vault. Written against the protocol.

It knows nothing of the keeper nor of its devnet; `tests.keeper.other_node` serves it over HTTP.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from stellar_sdk import StrKey, TransactionEnvelope, scval, xdr
from stellar_sdk.operation import InvokeHostFunction

POOL_FEE = Decimal("0.997")
RESOURCE_FEE = 90_000
UNAUTHORIZED, SWAP_FAILED, UNKNOWN_INSTRUCTION = 130, 201, 125


class CallFailed(Exception):
    """What a contract answers when it refuses: its own error number, or the host's word."""

    def __init__(self, number: int | None) -> None:
        super().__init__(f"Error(Contract, #{number})" if number else "Error(WasmVm, MissingValue)")
        self.number = number


def contract_id(name: str) -> str:
    return StrKey.encode_contract(hashlib.sha256(f"other ledger: {name}".encode()).digest())


@dataclass
class OtherToken:
    contract: str
    symbol: str
    decimals: int
    price: Decimal  # dollars a whole token


@dataclass
class OtherLedger:
    """`holdings`: base units of the vault by token contract."""

    passphrase: str
    manager: str
    tokens: Mapping[str, OtherToken]
    holdings: dict[str, int]
    code: bytes = hashlib.sha256(b"other vault").digest()
    vault: str = contract_id("vault")
    accounts: dict[str, tuple[int, int]] = field(default_factory=dict)  # address > (sequence, stroops)

    def call(self, args: xdr.InvokeContractArgs, source: str, seconds: int) -> tuple[xdr.SCVal, dict[str, int]]:
        """Value of a call and the vault's holdings after it. Raises CallFailed."""
        contract = StrKey.encode_contract(args.contract_address.contract_id.contract_id.hash)
        name, values = args.function_name.sc_symbol.decode(), [scval.to_native(a) for a in args.args]
        if contract in self.tokens:
            token = self.tokens[contract]
            own = {"symbol": scval.to_string(token.symbol), "decimals": scval.to_uint32(token.decimals)}
            if name not in own:
                raise CallFailed(None)
            return own[name], self.holdings
        if contract != self.vault:
            raise CallFailed(None)
        if name == "fetch_total_managed_funds":
            return self._funds(), self.holdings
        if name == "get_rebalance_manager":
            return scval.to_address(self.manager), self.holdings
        if name == "total_supply":
            return scval.to_int128(10**12), self.holdings
        if name != "rebalance":
            raise CallFailed(None)
        if values[0].address != self.manager or source != self.manager:
            raise CallFailed(UNAUTHORIZED)
        held = dict(self.holdings)
        for step in values[1]:
            self._swap(held, step, seconds)
        return scval.to_void(), held

    def _swap(self, held: dict[str, int], step: list[Any], seconds: int) -> None:
        if step[0] != "SwapExactIn":
            raise CallFailed(UNKNOWN_INSTRUCTION)
        token_in, token_out, amount, least, deadline = step[1].address, step[2].address, *step[3:]
        if deadline < seconds or amount <= 0 or held[token_in] < amount:
            raise CallFailed(SWAP_FAILED)
        sold, bought = self.tokens[token_in], self.tokens[token_out]
        worth = Decimal(amount).scaleb(-sold.decimals) * sold.price * POOL_FEE
        out = int((worth / bought.price).scaleb(bought.decimals))
        if out < least:
            raise CallFailed(SWAP_FAILED)
        held[token_in] -= amount
        held[token_out] += out

    def _funds(self) -> xdr.SCVal:
        rows = []
        for token, amount in self.holdings.items():
            whole = scval.to_int128(amount)
            rows.append(
                scval.to_struct(
                    {
                        "asset": scval.to_address(token),
                        "idle_amount": whole,
                        "invested_amount": scval.to_int128(0),
                        "strategy_allocations": scval.to_vec([]),
                        "total_amount": whole,
                    }
                )
            )
        return scval.to_vec(rows)


def call_of(envelope: TransactionEnvelope) -> tuple[InvokeHostFunction, xdr.InvokeContractArgs]:
    """The one contract call of a transaction. Raises ValueError."""
    operations = envelope.transaction.operations
    if len(operations) != 1 or not isinstance(operations[0], InvokeHostFunction):
        raise ValueError("exactly one contract call is understood")
    call = operations[0].host_function.invoke_contract
    if call is None:
        raise ValueError("only calls of contracts are understood")
    return operations[0], call


def needed_words(call: xdr.InvokeContractArgs) -> list[str]:
    """Authorizations that a call asks for: the source account's own, of anything that moves funds."""
    return [_own_word(call).to_xdr()] if call.function_name.sc_symbol == b"rebalance" else []


def _own_word(call: xdr.InvokeContractArgs) -> xdr.SorobanAuthorizationEntry:
    kind = xdr.SorobanAuthorizedFunctionType.SOROBAN_AUTHORIZED_FUNCTION_TYPE_CONTRACT_FN
    return xdr.SorobanAuthorizationEntry(
        xdr.SorobanCredentials(xdr.SorobanCredentialsType.SOROBAN_CREDENTIALS_SOURCE_ACCOUNT),
        xdr.SorobanAuthorizedInvocation(xdr.SorobanAuthorizedFunction(kind, contract_fn=call), []),
    )


def data_key(contract: str, key: xdr.SCVal) -> xdr.LedgerKey:
    durable = xdr.ContractDataDurability.PERSISTENT
    address = scval.to_address(contract).address
    assert address is not None
    return xdr.LedgerKey(
        xdr.LedgerEntryType.CONTRACT_DATA, contract_data=xdr.LedgerKeyContractData(address, key, durable)
    )


def data_entry(contract: str, key: xdr.SCVal, value: xdr.SCVal) -> xdr.LedgerEntryData:
    place = data_key(contract, key).contract_data
    assert place is not None
    entry = xdr.ContractDataEntry(xdr.ExtensionPoint(0), place.contract, key, place.durability, value)
    return xdr.LedgerEntryData(xdr.LedgerEntryType.CONTRACT_DATA, contract_data=entry)


def balance_key(holder: str) -> xdr.SCVal:
    return scval.to_vec([scval.to_symbol("Balance"), scval.to_address(holder)])


def an_other_ledger(passphrase: str, manager: str, prices: Mapping[str, Decimal]) -> OtherLedger:
    """A vault of a million dollars in the first token; its tokens have 7, 6, 5 ... decimals, so that none is guessed.

    `prices`: dollars a whole token by symbol, the stable one first.
    """
    tokens = {
        contract_id(symbol): OtherToken(contract_id(symbol), symbol, 7 - n, price)
        for n, (symbol, price) in enumerate(prices.items())
    }
    holdings = {token: 10**6 * 10**7 if n == 0 else 0 for n, token in enumerate(tokens)}
    return OtherLedger(passphrase, manager, tokens, holdings, accounts={manager: (7_000, 10**9)})
