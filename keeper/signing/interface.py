"""What a signer is: it receives an envelope and what it must contain, never bare bytes to sign."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass


class SigningError(Exception):
    """Base of what a signer can raise."""


class SigningRefused(SigningError):
    """The envelope is not what was agreed, or the signer may not serve this network: stop and tell a human."""


class SignerUnavailable(SigningError):
    """The backend did not answer: try again while the envelope is valid. Signing twice yields the same bytes."""


@dataclass(frozen=True, slots=True)
class SigningPolicy:
    """What the envelope must be. `arguments`: base64 XDR of each argument, built anew from the plan."""

    passphrase: str
    source: str
    sequence: int
    contract: str
    function: str
    arguments: tuple[str, ...]
    max_time_s: int
    max_ledger: int
    max_fee_stroops: int
    now_s: int  # chain time
    max_validity_s: int = 90


@dataclass(frozen=True, slots=True)
class SignedEnvelope:
    xdr: str
    tx_hash: str


class Signer(ABC):
    """Holds one key, or speaks to who holds it."""

    @property
    @abstractmethod
    def address(self) -> str:
        """The account whose key signs."""

    def check(self) -> None:  # noqa: B027  # a backend that makes its own key has nothing to prove
        """Prove that the backend holds the key of `address`; for the start of a keeper, and before the first signature.

        Raises SigningRefused or SignerUnavailable.
        """

    @abstractmethod
    def sign_envelope(self, unsigned_xdr: str, policy: SigningPolicy) -> SignedEnvelope:
        """Decode, check against `policy`, sign, verify, attach. Raises SigningRefused or SignerUnavailable."""
