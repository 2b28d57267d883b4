"""What only a key in AWS KMS can do: be disabled, be of another kind, be an alias that was moved."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import boto3
import pytest

from keeper.signing.interface import SignerUnavailable, SigningRefused
from keeper.signing.kms import KmsSigner
from tests.keeper.signing.backends import QUICK, REGION, KmsBackend
from tests.keeper.signing.envelopes import STRANGER, policy_for, unsigned
from tests.orchestration.sources.loopback import Asked, Canned


def sign(backend: KmsBackend, signer: Any = None) -> str:
    made = signer or backend.signer()
    return str(made.sign_envelope(unsigned(backend.address), policy_for(backend.address)).tx_hash)


def test_the_hash_itself_is_signed_as_raw_bytes_with_pure_ed25519(kms: KmsBackend) -> None:
    sign(kms)
    asked = kms.relay.asked[-1].body
    assert (asked["MessageType"], asked["SigningAlgorithm"]) == ("RAW", "ED25519_SHA_512")
    assert asked["KeyId"] == kms.key_id
    assert [call.headers["x-amz-target"].split(".")[1] for call in kms.relay.asked] == ["GetPublicKey", "Sign"]


def test_a_disabled_key_is_refused_and_signs_again_when_enabled(kms: KmsBackend) -> None:
    signer = kms.signer()
    kms.admin.disable_key(KeyId=kms.key_id)
    with pytest.raises(SigningRefused, match="DisabledException; the key is disabled"):
        sign(kms, signer)
    kms.admin.enable_key(KeyId=kms.key_id)
    assert sign(kms, signer)


def test_a_key_that_waits_for_its_deletion_is_refused(kms: KmsBackend) -> None:
    kms.admin.schedule_key_deletion(KeyId=kms.key_id, PendingWindowInDays=7)
    with pytest.raises(SigningRefused, match="KMSInvalidStateException"):
        sign(kms)


def test_an_alias_that_was_moved_to_a_fresh_key_signs_nothing(kms: KmsBackend, kms_url: str) -> None:
    with closing(KmsBackend(kms_url)) as fresh:
        kms.admin.create_alias(AliasName=f"alias/{kms.key_id}", TargetKeyId=kms.key_id)
        signer = KmsSigner(kms.address, f"alias/{kms.key_id}", REGION, kms.relay.url, QUICK)
        assert sign(kms, signer)
        kms.admin.update_alias(AliasName=f"alias/{kms.key_id}", TargetKeyId=fresh.key_id)
        with pytest.raises(SigningRefused, match="do not verify"):  # a running keeper
            sign(kms, signer)
        with pytest.raises(SigningRefused, match=f"belongs to {fresh.address}"):  # one that starts
            KmsSigner(kms.address, f"alias/{kms.key_id}", REGION, kms.relay.url, QUICK).check()


@pytest.mark.parametrize(
    ("spec", "usage"), [("ECC_NIST_P256", "SIGN_VERIFY"), ("RSA_2048", "SIGN_VERIFY"), ("RSA_2048", "ENCRYPT_DECRYPT")]
)
def test_a_key_of_another_kind_is_refused(kms: KmsBackend, spec: str, usage: str) -> None:
    other = kms.admin.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["KeyId"]
    with pytest.raises(SigningRefused, match=f"{spec} for {usage}; it must be ECC_NIST_EDWARDS25519"):
        KmsSigner(STRANGER, other, REGION, kms.relay.url, QUICK).check()


def test_a_key_that_is_not_there_is_refused(kms: KmsBackend) -> None:
    with pytest.raises(SigningRefused, match="NotFoundException; there is no such key in this account and region"):
        KmsSigner(STRANGER, "00000000-0000-0000-0000-000000000000", REGION, kms.relay.url, QUICK).check()


def test_an_answer_by_the_prehashed_algorithm_is_refused(kms: KmsBackend) -> None:
    signer = kms.signer()
    signer.check()

    def trouble(asked: Asked) -> Canned:
        body = json.loads(kms.answer(asked).raw) | {"SigningAlgorithm": "ED25519_PH_SHA_512"}
        return Canned(body, headers={"content-type": "application/x-amz-json-1.1"})

    kms.trouble = trouble
    with pytest.raises(SigningRefused, match="not a signature by ED25519_SHA_512"):
        sign(kms, signer)


@pytest.mark.parametrize("der", [b"", b"\x30\x2a", bytes(44), bytes.fromhex("302a300506032b6570032100") + bytes(31)])
def test_a_public_key_that_is_none_is_refused(kms: KmsBackend, der: bytes) -> None:
    body = {"PublicKey": base64.b64encode(der).decode(), "KeySpec": "ECC_NIST_EDWARDS25519", "KeyUsage": "SIGN_VERIFY"}
    kms.trouble = lambda asked: Canned(body, headers={"content-type": "application/x-amz-json-1.1"})
    with pytest.raises(SigningRefused, match="not Ed25519"):
        kms.signer().check()


@pytest.fixture
def without_credentials(kms: KmsBackend, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    yield
    boto3.DEFAULT_SESSION = None


@pytest.mark.usefixtures("without_credentials")
def test_without_credentials_it_says_what_is_missing(kms: KmsBackend) -> None:
    with pytest.raises(SigningRefused, match="NoCredentialsError; look at the region, the key id and the credentials"):
        kms.signer().check()
    assert kms.relay.asked == []


def test_without_a_region_it_says_what_is_missing(kms: KmsBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    with pytest.raises(SigningRefused, match="NoRegionError"):
        KmsSigner(kms.address, kms.key_id, None, kms.relay.url)


def test_a_denied_sign_names_the_permission(kms: KmsBackend) -> None:
    signer = kms.signer()
    signer.check()
    denied = {"__type": "AccessDeniedException", "message": "User: arn:aws:iam::1:user/planted is not authorized"}
    kms.fail_signatures(Canned(denied, 400, {"content-type": "application/x-amz-json-1.1"}))
    with pytest.raises(SigningRefused, match="allow kms:GetPublicKey and kms:Sign on this key") as caught:
        sign(kms, signer)
    assert "planted" not in str(caught.value)


def test_a_check_that_could_not_be_made_comes_before_the_next_signature(kms: KmsBackend) -> None:
    signer = kms.signer()
    kms.trouble = lambda asked: Canned({"__type": "ThrottlingException"}, 400)
    with pytest.raises(SignerUnavailable, match="ThrottlingException"):
        sign(kms, signer)
    assert kms.signatures == 0
    kms.trouble = None
    assert sign(kms, signer)
