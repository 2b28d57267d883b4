"""A key in a file, for the devnet and for tests. Refuses the public network. The seed is never logged or shown."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from stellar_sdk import Keypair
from stellar_sdk.exceptions import Ed25519SecretSeedInvalidError

from keeper.networks import PUBLIC_PASSPHRASE
from keeper.signing.envelope import attach, checked
from keeper.signing.interface import SignedEnvelope, Signer, SigningPolicy, SigningRefused


class LocalDevSigner(Signer):
    """Signs with the key in `path`; the file is made once, with mode 0600.

    Raises
    ------
    SigningRefused
        If the file is readable by others or holds no seed.
    """

    def __init__(self, path: Path) -> None:
        self._keypair = _load_or_create(path)

    def __repr__(self) -> str:
        return f"LocalDevSigner({self.address})"

    @property
    def address(self) -> str:
        return self._keypair.public_key

    def sign_envelope(self, unsigned_xdr: str, policy: SigningPolicy) -> SignedEnvelope:
        if policy.passphrase == PUBLIC_PASSPHRASE:
            raise SigningRefused("local_dev: a key in a file never signs for the public network; use a key service")
        envelope = checked(unsigned_xdr, policy)
        return attach(envelope, self.address, self._keypair.sign(envelope.hash()))


def _load_or_create(path: Path) -> Keypair:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _create(path)
    if path.stat().st_mode & 0o077:
        raise SigningRefused(f"local_dev: {path} is readable by others; chmod 600 it")
    try:
        return Keypair.from_secret(path.read_text(encoding="ascii").strip())
    except (Ed25519SecretSeedInvalidError, UnicodeDecodeError):
        raise SigningRefused(f"local_dev: {path} holds no secret seed; remove it and a new key is made") from None


def _create(path: Path) -> None:
    """Write a fresh key in full and then give it its name: a crash leaves no half key, and of two processes that start
    together one wins and both use its key."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(Keypair.random().secret + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        Path(temporary).unlink()
