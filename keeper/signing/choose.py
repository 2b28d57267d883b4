"""From settings to a signer. What is chosen here is not secret: tokens and credentials come in as functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from keeper.networks import PASSPHRASES
from keeper.signing.interface import Signer, SigningRefused


class SignerKind(StrEnum):
    LOCAL = "local"
    KMS = "kms"
    VAULT = "vault"


@dataclass(frozen=True, slots=True)
class SignerChoice:
    """Which key signs, as the settings say it. Fields of the other kinds stay None.

    `address`: the account that the key must belong to; only a local key may do without.
    `key`: id or ARN in KMS, name in Vault. `endpoint`: URL of Vault; of KMS only when it is not the public one.
    """

    kind: SignerKind = SignerKind.LOCAL
    address: str | None = None
    key: str | None = None
    region: str | None = None
    endpoint: str | None = None
    mount: str = "transit"
    key_version: int = 1
    namespace: str | None = None
    production: bool = False


def choose_signer(
    choice: SignerChoice,
    network: str,
    local_key: Path,
    vault_token: Callable[[], str | None] = lambda: None,
    passphrase: str | None = None,
) -> Signer:
    """The signer of `choice`, not yet asked anything: call its `check()` before the keeper starts.

    Parameters
    ----------
    network : devnet, testnet or public; a local key refuses the last one.
    local_key : file of the development key, made if missing and asked for.
    vault_token : reads Vault's token anew at each call; None: there is none.
    passphrase : of a network that is not known by name; a known one signs for its own passphrase only.

    Raises
    ------
    SigningRefused
        If a setting is missing or unsafe, a local key is asked for in production or on the public network.
    """
    only = PASSPHRASES.get(network, passphrase)
    if choice.kind is SignerKind.LOCAL:
        from keeper.signing.local_dev import LocalDevSigner

        if network == "public":
            raise SigningRefused("local_dev: a key in a file never signs for the public network; use a key service")
        return LocalDevSigner(local_key, choice.address, choice.production, only)
    from stellar_sdk import StrKey  # takes most of a second, and settings import this file

    address = _given(choice.address, "BALLAST_SIGNER_ADDRESS")
    if not StrKey.is_valid_ed25519_public_key(address):
        raise SigningRefused("BALLAST_SIGNER_ADDRESS: it is not the address of an account (G...)")
    key = _given(choice.key, "BALLAST_SIGNER_KEY")
    if choice.kind is SignerKind.KMS:
        from keeper.signing.kms import KmsSigner

        return KmsSigner(address, key, choice.region, choice.endpoint, passphrase=only)
    from keeper.signing.vault_transit import TransitKey, VaultTransitSigner

    url = _given(choice.endpoint, "BALLAST_SIGNER_ENDPOINT")
    place = TransitKey(url, key, choice.key_version, choice.mount, choice.namespace)
    names = "VAULT_TOKEN or VAULT_TOKEN_FILE"
    return VaultTransitSigner(address, place, lambda: _given(vault_token(), names), passphrase=only)


def _given(value: str | None, name: str) -> str:
    if not value:
        raise SigningRefused(f"{name}: it is not set")
    return value
