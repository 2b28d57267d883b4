"""A vault on any Stellar network, reached by nothing but settings: nodes, passphrase, account and contract.

What the vault's tokens are called is read from the chain where nobody wrote their addresses down. Whether the network
is the right one, the role ours and the code as pinned is judged with every tick (`keeper.decision`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from keeper.connection import ChainUnavailable, Connection
from keeper.endpoints import Endpoints
from keeper.gateway import Fatal, Gateway, Ok, Retryable, Uncertain
from keeper.limits import ConfigError, KeeperConfig, KeeperLimits, Phase
from keeper.networks import DEVELOPMENT, PRIVATE, network_named
from keeper.signing.interface import Signer
from keeper.soroban import SorobanGateway
from models.contracts.vault import VaultAsset, VaultConfig

# A development network closes a ledger every second and nobody else pays for its questions. Its node may be a simple
# one that does not say what a simulation would change; elsewhere such an answer is refused.
_DEVELOPMENT_LIMITS = KeeperLimits(poll_s=0.2, require_state_changes=False)
_NATIVE_SYMBOL, _NATIVE_LEG = "native", "xlm"  # what the contract of the network's own coin calls itself


@dataclass(frozen=True, slots=True)
class NetworkAccess:
    """`urls`: of one node or several; never printed, for they may carry keys. `account`: what the keeper sends from.

    `tokens`: contracts by symbol, for legs that the chain does not name alike. `known_contracts`: the pairs that a
    rebalance may write.
    """

    passphrase: str
    urls: tuple[str, ...] = field(repr=False)
    account: str
    contract: str
    code_hash: str | None = None
    tokens: Mapping[str, str] = field(default_factory=dict)
    known_contracts: frozenset[str] = frozenset()


def gateway_of(access: NetworkAccess) -> Gateway:
    """All nodes of `access` as one."""
    return Endpoints([SorobanGateway(url, access.passphrase) for url in access.urls])


def connect_network(
    vault: VaultConfig,
    access: NetworkAccess,
    phase: Phase,
    signer: Signer | None,
    run_id: str | None = None,
    gateway: Gateway | None = None,
) -> Connection:
    """Everything that a keeper of `vault` needs on the network of `access`.

    Parameters
    ----------
    vault : as the universe describes it; its network and contract are those of `access`.
    gateway : for tests; by default the nodes of `access`.

    Raises
    ------
    ChainUnavailable
        If the vault must be read to find its tokens and no node answers.
    ConfigError
        If the contract is no vault, a token is missing or the phase does not belong on this network.
    """
    network = network_named(access.passphrase)
    gateway = gateway or gateway_of(access)
    try:
        placed = with_tokens(replace(vault, network=network, contract=access.contract), gateway, access.tokens)
        config = KeeperConfig(
            vault=placed,
            source_account=access.account,
            phase=phase,
            limits=_DEVELOPMENT_LIMITS if network in DEVELOPMENT else KeeperLimits(),
            code_hash=access.code_hash,
            run_id=run_id,
            known_contracts=access.known_contracts,
            private_passphrase=access.passphrase if network == PRIVATE else None,
        )
    except Exception:
        gateway.close()
        raise
    return Connection(config, gateway, signer)


def with_tokens(vault: VaultConfig, gateway: Gateway, tokens: Mapping[str, str]) -> VaultConfig:
    """The vault with the contract of every leg: as given by `tokens`, as written in the vault, or by its name on chain.

    Every leg takes the decimals that its token tells; one that tells none keeps those of the vault. Raises as
    `connect_network`.
    """
    unknown = tokens.keys() - {asset.symbol for asset in vault.assets}
    if unknown:
        raise ConfigError(f"vault {vault.id}: has no leg {min(unknown)}, for which BALLAST_KEEPER_TOKENS names a token")
    named = replace(vault, assets=tuple(replace(a, contract=tokens.get(a.symbol, a.contract)) for a in vault.assets))
    named = replace(named, assets=tuple(_as_told(vault.id, asset, gateway) for asset in named.assets))
    lacking = {_folded(a.symbol) for a in named.assets if a.contract is None}
    if not lacking:
        return named
    found = _tokens_by_symbol(named, gateway, [a.contract for a in named.assets if a.contract is not None])
    missing = sorted(a.symbol for a in named.assets if _folded(a.symbol) in lacking - found.keys())
    if missing:
        raise ConfigError(
            f"vault {vault.id}: its contract holds no token called {', '.join(missing)} (it holds "
            f"{', '.join(sorted(found)) or 'none that says its name'}); set BALLAST_KEEPER_TOKENS={missing[0]}=C..."
        )
    assets = []
    for asset in named.assets:
        if asset.contract is None:
            contract, decimals = found[_folded(asset.symbol)]
            asset = replace(asset, contract=contract, decimals=decimals)
        assets.append(asset)
    return replace(named, assets=tuple(assets))


def _as_told(vault_id: str, asset: VaultAsset, gateway: Gateway) -> VaultAsset:
    """A leg whose contract is known, with the decimals of its token: every amount and least output rests on them."""
    told = gateway.token(asset.contract) if asset.contract is not None else None
    if isinstance(told, Retryable | Uncertain):
        raise ChainUnavailable(f"vault {vault_id}: the token of {asset.symbol} cannot be read ({told.reason})")
    return replace(asset, decimals=told.value.decimals) if isinstance(told, Ok) else asset


def _tokens_by_symbol(vault: VaultConfig, gateway: Gateway, known: Sequence[str]) -> dict[str, tuple[str, int]]:
    assert vault.contract is not None
    view = gateway.vault(vault.contract)
    if isinstance(view, Fatal):
        raise ConfigError(f"vault {vault.id}: contract {vault.contract} is no vault of this network ({view.reason})")
    if not isinstance(view, Ok):
        raise ChainUnavailable(f"vault {vault.id}: its contract cannot be read ({view.reason})")
    found: dict[str, tuple[str, int]] = {}
    for funds in view.value.funds:
        if funds.asset in known:
            continue
        token = gateway.token(funds.asset)
        if isinstance(token, Fatal):
            continue  # a token that does not say its name has to be named by a setting
        if not isinstance(token, Ok):
            raise ChainUnavailable(f"vault {vault.id}: token {funds.asset} cannot be read ({token.reason})")
        name = _folded(token.value.symbol)
        if name in found:
            raise ConfigError(
                f"vault {vault.id}: two of its tokens are called {token.value.symbol}; name each by a setting"
            )
        found[name] = (funds.asset, token.value.decimals)
    return found


def _folded(symbol: str) -> str:
    """Symbols as they are compared; the network's own coin is the leg XLM."""
    return _NATIVE_LEG if symbol == _NATIVE_SYMBOL else symbol.casefold()
