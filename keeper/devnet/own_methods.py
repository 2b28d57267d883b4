"""The `devnet_` methods, which no real node has: prices of its swaps, accounts with lumens, vaults."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from stellar_sdk import StrKey

from keeper.devnet import shapes
from keeper.devnet.chain import Chain
from keeper.devnet.errors import INVALID_PARAMS, RpcError
from keeper.devnet.vault_model import Strategy, Token, VaultModel

MAX_DEPOSIT = 10**30  # base units: far from where sums leave an i128
MAX_DECIMALS = 18


def set_prices(chain: Chain, params: dict[str, Any]) -> dict[str, Any]:
    """Set the dollar price that swaps go by, for each symbol named."""
    wanted, prices = params.get("prices") or {}, {}
    if not isinstance(wanted, dict):
        raise RpcError(INVALID_PARAMS, "prices: must be an object")
    for symbol, text in wanted.items():
        try:
            price = Decimal(str(text))
        except InvalidOperation:
            raise RpcError(INVALID_PARAMS, f"prices.{symbol}: {text!r} is not a number") from None
        if not price.is_finite() or price <= 0:
            raise RpcError(INVALID_PARAMS, f"prices.{symbol}: must be positive")
        prices[symbol] = str(price)
    for token in chain.state.tokens.values():
        token.price = prices.get(token.symbol, token.price)
    chain.save()
    return {"prices": {t.symbol: t.price for t in chain.state.tokens.values()}}


def fund_account(chain: Chain, params: dict[str, Any]) -> dict[str, Any]:
    """Create an account with lumens, once."""
    try:
        chain.fund(str(params.get("address")))
    except ValueError as error:
        raise RpcError(INVALID_PARAMS, str(error)) from None
    return {"address": params["address"]}


def create_vault(chain: Chain, params: dict[str, Any]) -> dict[str, Any]:
    """Deploy a vault that holds `deposit` base units of its first stable asset, once.

    Asked again it answers the same and hands the role to `rebalance_manager`; another set of assets is another
    vault.
    """
    try:
        name, assets, manager = str(params["vault_id"]), list(params["assets"]), str(params["rebalance_manager"])
        symbols = [(str(a["symbol"]), int(a["decimals"]), bool(a["stable"])) for a in assets]
        deposit = int(params["deposit"])
        stable = next(s for s, _, is_stable in symbols if is_stable)
    except (KeyError, TypeError, ValueError, StopIteration) as error:
        raise RpcError(INVALID_PARAMS, f"vault: {type(error).__name__} {error}") from None
    if not StrKey.is_valid_ed25519_public_key(manager) or not 0 < deposit <= MAX_DEPOSIT:
        raise RpcError(INVALID_PARAMS, "vault: rebalance_manager must be an account, deposit positive")
    if not all(0 <= decimals <= MAX_DECIMALS for _, decimals, _ in symbols):
        raise RpcError(INVALID_PARAMS, f"vault: decimals must lie in 0 to {MAX_DECIMALS}")
    state = chain.state
    tokens = {s: shapes.contract_address(state.seed, "token", f"{s}/{d}") for s, d, _ in symbols}
    for symbol, decimals, is_stable in symbols:
        state.tokens.setdefault(tokens[symbol], Token(symbol, decimals, "1" if is_stable else None))
    address = shapes.contract_address(state.seed, "vault", f"{name}/{'/'.join(sorted(tokens))}")
    created = address not in state.vaults
    if created:
        strategy = shapes.contract_address(state.seed, "strategy", f"{name}/{stable}")
        idle = {token: deposit if symbol == stable else 0 for symbol, token in tokens.items()}
        state.vaults[address] = VaultModel(
            address, manager, manager, idle, {strategy: Strategy(tokens[stable], 0)}, shares=deposit
        )
    state.vaults[address].rebalance_manager = manager
    chain.save()
    return {"contract": address, "tokens": tokens, "code_hash": shapes.CODE_HASH.hex(), "created": created}
