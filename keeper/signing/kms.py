"""A key in AWS KMS. It signs the 32 bytes of the transaction hash; the key never leaves the service.

Stellar verifies pure Ed25519, so the algorithm is ED25519_SHA_512 with message type RAW. The pre-hashed variant hashes
once more and never verifies. Credentials come from the provider chain of the SDK (role, profile, environment).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import boto3
from botocore import exceptions as aws
from botocore.config import Config
from botocore.parsers import ResponseParserError

from keeper.signing.envelope import HashSigner
from keeper.signing.interface import SignerUnavailable, SigningError, SigningRefused
from keeper.signing.service import Patience, account_of, safe_url, stays_here

KEY_SPEC = "ECC_NIST_EDWARDS25519"
ALGORITHM = "ED25519_SHA_512"
_SPKI_PREFIX = bytes.fromhex("302a300506032b6570032100")  # DER of "an Ed25519 public key follows" (RFC 8410)

_TRANSIENT_CODES = frozenset({
    "Throttling", "ThrottlingException", "ThrottledException", "RequestLimitExceeded", "TooManyRequestsException",
    "LimitExceededException", "KMSInternalException", "DependencyTimeoutException", "KeyUnavailableException",
    "InternalFailure", "InternalServerError", "ServiceUnavailable", "ServiceUnavailableException", "RequestTimeout",
})  # fmt: skip
_TRANSIENT_ERRORS = (
    aws.HTTPClientError,
    aws.ConnectionError,
    ResponseParserError,
    aws.CredentialRetrievalError,
    aws.MetadataRetrievalError,
)
_REMEDIES = {
    "AccessDeniedException": "allow kms:GetPublicKey and kms:Sign on this key",
    "DisabledException": "the key is disabled",
    "KMSInvalidStateException": "the key is not enabled, or waits for its deletion",
    "NotFoundException": "there is no such key in this account and region",
    "ExpiredTokenException": "the credentials have expired",
    "UnrecognizedClientException": "the credentials are not valid",
}


class KmsSigner(HashSigner):
    """Signs with the KMS key `key_id`, which must belong to `address`.

    Parameters
    ----------
    key_id : id or ARN. An alias can be moved to another key; the check of the address would refuse that one.
    region : of the key; None: as the provider chain says.
    endpoint : URL of another endpoint, such as one inside a private network.
    passphrase : of the one network it signs for; None: the one that a policy names.

    Raises
    ------
    SigningRefused
        If the endpoint is not https, or holds credentials, or no region is known.
    """

    def __init__(
        self,
        address: str,
        key_id: str,
        region: str | None = None,
        endpoint: str | None = None,
        patience: Patience | None = None,
        passphrase: str | None = None,
    ) -> None:
        super().__init__(address, passphrase)
        self._key_id = key_id
        self._patience = patience or Patience()
        # In its debug log this library writes every header it signs, and one of them is the session token.
        logging.getLogger("botocore").setLevel(logging.INFO)
        url = safe_url("kms", endpoint) if endpoint else None
        config = Config(
            retries={"total_max_attempts": 1},  # tried again here, within the life of an envelope
            connect_timeout=self._patience.connect_timeout_s,
            read_timeout=self._patience.read_timeout_s,
            proxies={} if url and stays_here(url) else None,
        )
        self._client: Any = self._patience.ask(
            lambda: boto3.client("kms", region_name=region, endpoint_url=url, config=config), _meaning
        )

    def _held_address(self) -> str:
        answer = self._ask(lambda: self._client.get_public_key(KeyId=self._key_id), "PublicKey")
        spec, usage, der = answer.get("KeySpec"), answer.get("KeyUsage"), answer["PublicKey"]
        if spec != KEY_SPEC or usage != "SIGN_VERIFY":
            raise SigningRefused(f"kms: the key is {spec} for {usage}; it must be {KEY_SPEC} for SIGN_VERIFY")
        if not der.startswith(_SPKI_PREFIX):
            raise SigningRefused("kms: the public key is not Ed25519")
        return account_of(der[len(_SPKI_PREFIX) :])

    def _sign_hash(self, tx_hash: bytes) -> bytes:
        answer = self._ask(
            lambda: self._client.sign(
                KeyId=self._key_id, Message=tx_hash, MessageType="RAW", SigningAlgorithm=ALGORITHM
            ),
            "Signature",
        )
        if answer.get("SigningAlgorithm") != ALGORITHM:
            raise SigningRefused(f"kms: the answer is not a signature by {ALGORITHM}")
        signature: bytes = answer["Signature"]
        return signature

    def _ask(self, call: Callable[[], dict[str, Any]], wanted: str) -> dict[str, Any]:
        """The answer, with bytes under `wanted`: of half an answer the SDK makes an empty one, without an error."""

        def whole() -> dict[str, Any]:
            answer = call()
            if not isinstance(answer.get(wanted), bytes):
                raise SignerUnavailable(f"kms: the answer holds no {wanted}")
            return answer

        return self._patience.ask(whole, _meaning)


def _meaning(error: Exception) -> SigningError:
    """What an error of the SDK means, told by its code alone: messages may repeat the request, headers included."""
    if isinstance(error, aws.ClientError):
        code = str(error.response.get("Error", {}).get("Code", "unknown"))[:64]
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _TRANSIENT_CODES or status == 429 or not 400 <= status < 500:
            return SignerUnavailable(f"kms: {code}")
        return SigningRefused(f"kms: {code}" + (f"; {_REMEDIES[code]}" if code in _REMEDIES else ""))
    kind = type(error).__name__
    if isinstance(error, _TRANSIENT_ERRORS):
        return SignerUnavailable(f"kms: no answer ({kind})")
    return SigningRefused(f"kms: {kind}; look at the region, the key id and the credentials")
