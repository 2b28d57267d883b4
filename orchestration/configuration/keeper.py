"""How the keeper reaches a network, which vault it keeps there, who signs, and how far it may go.

Everything of a network is a setting, so that a Stellar network differs from another one by its variables alone.
Syntax is checked when settings are loaded; what only matters once the keeper runs is checked by `NetworkSettings`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from urllib.parse import urlsplit

from keeper.limits import Phase
from keeper.networks import PASSPHRASES, network_named
from keeper.signing.choose import SignerChoice, SignerKind
from orchestration.configuration.values import Secret, SettingsError, number, secrets_in

_P = "BALLAST_KEEPER_"
PHASE, PASSPHRASE, RPC_URLS = f"{_P}PHASE", f"{_P}NETWORK_PASSPHRASE", f"{_P}RPC_URLS"
ACCOUNT, CONTRACT, CODE_HASH = f"{_P}ACCOUNT", f"{_P}VAULT_CONTRACT", f"{_P}CODE_HASH"
TOKENS, KNOWN = f"{_P}TOKENS", f"{_P}KNOWN_CONTRACTS"
MAX_ACTION, MAX_DAY = f"{_P}MAX_ACTION_USD", f"{_P}MAX_DAY_USD"
_THE_VAULT = ""  # a value without a vault's name belongs to the only vault there is
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_VERSION = {"G": 6 << 3, "C": 2 << 3}  # first byte of an account's and of a contract's address (SEP-23)
_HASH = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
_SEED = re.compile(r"S[A-Z2-7]{55}")


@dataclass(frozen=True, slots=True)
class KeeperSettings:
    """`contracts`, `code_hashes`: by vault id, or under the empty name for the only vault. `tokens`: by symbol.

    `rpc_urls` may carry keys. `max_action_usd`, `max_day_usd`: caps of every vault, on top of its own limits.
    """

    phase: Phase = Phase.DEVNET
    passphrase: str | None = None
    rpc_urls: tuple[Secret, ...] = ()
    contracts: Mapping[str, str] = field(default_factory=dict)
    code_hashes: Mapping[str, str] = field(default_factory=dict)
    tokens: Mapping[str, str] = field(default_factory=dict)
    known_contracts: tuple[str, ...] = ()
    max_action_usd: Decimal | None = None
    max_day_usd: Decimal | None = None

    @property
    def names_a_network(self) -> bool:
        """Whether the vaults live on a network of these settings; otherwise on the embedded devnet."""
        return bool(self.rpc_urls or self.passphrase or self.contracts)

    def contract_of(self, vault_id: str, vaults: int) -> str | None:
        """Contract named for a vault, if any. `vaults`: how many there are. Raises SettingsError."""
        return _of(CONTRACT, self.contracts, vault_id, vaults)

    def code_hash_of(self, vault_id: str, vaults: int) -> str | None:
        """Pinned hash of the code of a vault, if any. `vaults`: how many there are. Raises SettingsError."""
        return _of(CODE_HASH, self.code_hashes, vault_id, vaults)

    def network(self) -> NetworkSettings:
        """The network of these settings. Raises SettingsError for what is missing."""
        if self.passphrase is None:
            raise SettingsError(f"{PASSPHRASE}: is not set; it says which network {RPC_URLS} belongs to")
        if not self.rpc_urls:
            raise SettingsError(f"{RPC_URLS}: is not set; name one node of the network or several (--rpc-url)")
        name = network_named(self.passphrase)
        for url in self.rpc_urls:
            parts = urlsplit(url.reveal())
            if parts.scheme == "http" and parts.hostname not in _LOOPBACK and name in ("testnet", "public"):
                raise SettingsError(f"{RPC_URLS}: a node of {name} must be asked by https, else anybody can answer")
        return NetworkSettings(name, self.passphrase, tuple(url.reveal() for url in self.rpc_urls))


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """`name`: devnet, testnet, public, or private for any other passphrase. `urls` are not for printing."""

    name: str
    passphrase: str
    urls: tuple[str, ...] = field(repr=False)


def keeper_settings(env: Mapping[str, str]) -> KeeperSettings:
    """Settings of the keeper. Raises SettingsError naming the first wrong variable."""
    _refuse_seeds(env)
    phase = env.get(PHASE) or Phase.DEVNET.value
    if phase not in tuple(Phase):
        raise SettingsError(f"{PHASE}: {phase!r} is not {', '.join(Phase)}")
    passphrase = (env.get(PASSPHRASE) or "").strip()
    contracts = _named(env, CONTRACT)
    for contract in contracts.values():
        _require_contract(CONTRACT, contract)
    if len(set(contracts.values())) < len(contracts):
        raise SettingsError(f"{CONTRACT}: two vaults have one contract, so that each cap of it would count twice")
    hashes = {name: value.lower() for name, value in _named(env, CODE_HASH).items()}
    if not all(_HASH.fullmatch(value) for value in hashes.values()):
        raise SettingsError(f"{CODE_HASH}: a SHA-256 of 64 hexadecimal digits is expected")
    tokens = _named(env, TOKENS)
    for symbol, contract in tokens.items():
        if symbol == _THE_VAULT:
            raise SettingsError(f"{TOKENS}: SYMBOL=C... is expected, for one token or several with commas between")
        _require_contract(TOKENS, contract)
    known = _listed(env.get(KNOWN) or "")
    for contract in known:
        if not is_address(contract, "G"):  # vault and strategies may pay fees to accounts
            _require_contract(KNOWN, contract)
    return KeeperSettings(
        phase=Phase(phase),
        passphrase=PASSPHRASES.get(passphrase, passphrase) or None,
        rpc_urls=_urls(env),
        contracts=contracts,
        code_hashes=hashes,
        tokens=tokens,
        known_contracts=known,
        max_action_usd=_dollars(env, MAX_ACTION),
        max_day_usd=_dollars(env, MAX_DAY),
    )


def signer_settings(env: Mapping[str, str]) -> SignerChoice:
    """Which key signs. The keeper's account is the signer's address: either variable names both."""
    _refuse_seeds(env)
    environment = env.get("BALLAST_ENVIRONMENT") or "development"
    if environment not in ("development", "production"):
        raise SettingsError(f"BALLAST_ENVIRONMENT: {environment!r} is not development or production")
    kind = env.get("BALLAST_SIGNER") or SignerKind.LOCAL.value
    if kind not in tuple(SignerKind):
        raise SettingsError(f"BALLAST_SIGNER: {kind!r} is not {', '.join(SignerKind)}")
    address, account = env.get("BALLAST_SIGNER_ADDRESS") or None, env.get(ACCOUNT) or None
    if account is not None and not is_address(account, "G"):
        raise SettingsError(f"{ACCOUNT}: {account!r} is not the address of an account (G...)")
    if address and account and address != account:
        raise SettingsError(f"{ACCOUNT}: is not the account of BALLAST_SIGNER_ADDRESS; the keeper's own key signs")
    return SignerChoice(
        kind=SignerKind(kind),
        address=address or account,
        key=env.get("BALLAST_SIGNER_KEY") or None,
        region=env.get("BALLAST_SIGNER_REGION") or None,
        endpoint=env.get("BALLAST_SIGNER_ENDPOINT") or None,
        mount=env.get("BALLAST_SIGNER_MOUNT") or "transit",
        key_version=int(number(env, "BALLAST_SIGNER_KEY_VERSION", 1, 1, 1_000_000)),
        namespace=env.get("BALLAST_SIGNER_NAMESPACE") or None,
        production=environment == "production",
    )


def keeper_environment(keeper: KeeperSettings, signer: SignerChoice) -> dict[str, str]:
    """The variables that make another process load the same, without the addresses of nodes: they may hold keys."""
    values = {
        PHASE: keeper.phase.value,
        PASSPHRASE: keeper.passphrase,
        CONTRACT: _written(keeper.contracts),
        CODE_HASH: _written(keeper.code_hashes),
        TOKENS: _written(keeper.tokens),
        KNOWN: ",".join(keeper.known_contracts),
        MAX_ACTION: None if keeper.max_action_usd is None else str(keeper.max_action_usd),
        MAX_DAY: None if keeper.max_day_usd is None else str(keeper.max_day_usd),
        "BALLAST_SIGNER": signer.kind.value,
        "BALLAST_SIGNER_ADDRESS": signer.address,
        "BALLAST_SIGNER_KEY": signer.key,
        "BALLAST_SIGNER_REGION": signer.region,
        "BALLAST_SIGNER_ENDPOINT": signer.endpoint,
        "BALLAST_SIGNER_MOUNT": signer.mount,
        "BALLAST_SIGNER_KEY_VERSION": str(signer.key_version),
        "BALLAST_SIGNER_NAMESPACE": signer.namespace,
        "BALLAST_ENVIRONMENT": "production" if signer.production else "development",
    }
    return {name: value for name, value in values.items() if value}


def is_address(text: str, kind: str) -> bool:
    """Whether `text` is an address of `kind` (G: account, C: contract), check sum included (SEP-23)."""
    try:
        raw = base64.b32decode(text)
    except binascii.Error:
        return False
    whole = len(raw) == 35 and raw[0] == _VERSION[kind]
    return whole and binascii.crc_hqx(raw[:-2], 0) == int.from_bytes(raw[-2:], "little")


def _urls(env: Mapping[str, str]) -> tuple[Secret, ...]:
    text = secrets_in(env, (RPC_URLS,)).get(RPC_URLS)
    urls = _listed(text.reveal()) if text else ()
    for number_, url in enumerate(urls, 1):
        where = f"{RPC_URLS}: address {number_}"  # never the address itself: it may carry a key
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            usable = False
        if not usable:
            raise SettingsError(f"{where} is no http(s) address")
        if parts.username is not None or parts.password is not None:
            raise SettingsError(f"{where} names a user or a password, which nodes are not asked with")
    if len({_node(url) for url in urls}) < len(urls):
        raise SettingsError(f"{RPC_URLS}: a node is named twice; two opinions of one node are one opinion")
    return tuple(Secret(url) for url in urls)


def _node(url: str) -> tuple[str | None, int | None, str, str]:
    """What two spellings of one address have in common."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.hostname, port, parts.path.rstrip("/"), parts.query


def _refuse_seeds(env: Mapping[str, str]) -> None:
    """A seed where a name belongs would stand in messages and in the UI. Raises SettingsError without it."""
    for name, value in env.items():
        if name.startswith(("BALLAST_KEEPER_", "BALLAST_SIGNER")) and _SEED.search(value):
            raise SettingsError(
                f"{name}: holds a secret seed. Put it into a file of mode 0600 and name that; treat this key as seen"
            )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part for part in re.split(r"[,\s]+", text) if part)


def _named(env: Mapping[str, str], variable: str) -> dict[str, str]:
    """`VALUE`, or `NAME=VALUE` with commas between."""
    found: dict[str, str] = {}
    for part in _listed(env.get(variable) or ""):
        name, equals, value = part.rpartition("=")
        if name in found or (equals and not _NAME.fullmatch(name)) or (found and _THE_VAULT in (name, *found)):
            raise SettingsError(f"{variable}: {part!r} is not understood; one value, or NAME=VALUE with commas between")
        found[name] = value
    return found


def _written(values: Mapping[str, str]) -> str:
    return ",".join(f"{name}={value}" if name else value for name, value in values.items())


def _of(variable: str, values: Mapping[str, str], vault_id: str, vaults: int) -> str | None:
    if _THE_VAULT in values and vaults != 1:
        raise SettingsError(f"{variable}: there are {vaults} vaults; write {vault_id}=VALUE, with commas between")
    return values.get(_THE_VAULT, values.get(vault_id))


def _require_contract(variable: str, text: str) -> None:
    if not is_address(text, "C"):
        raise SettingsError(f"{variable}: {text!r} is not the address of a contract (C...)")


def _dollars(env: Mapping[str, str], name: str) -> Decimal | None:
    text = env.get(name) or ""
    try:
        value = Decimal(text) if text else None
    except InvalidOperation:
        raise SettingsError(f"{name}: {text!r} is not an amount of dollars") from None
    if value is not None and not (value.is_finite() and value > 0):
        raise SettingsError(f"{name}: {text} is not above 0")
    return value
