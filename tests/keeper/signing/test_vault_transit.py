"""What only a transit key can do: be rotated, be sealed away, be asked for with a token that ends."""

from __future__ import annotations

from typing import Any

import pytest

from keeper.signing.interface import SignerUnavailable, SigningRefused
from keeper.signing.vault_transit import TransitKey, VaultTransitSigner
from tests.keeper.signing.backends import QUICK, TOKEN, VaultBackend
from tests.keeper.signing.envelopes import policy_for, unsigned
from tests.keeper.signing.transit_stub import JSON, refused
from tests.orchestration.sources.loopback import Asked, Canned

FRESH = "hvs.planted-fresh-token-987654"


def sign(backend: VaultBackend, signer: Any) -> str:
    return str(signer.sign_envelope(unsigned(signer.address), policy_for(signer.address)).tx_hash)


def test_the_version_is_named_and_the_input_is_the_hash(vault: VaultBackend) -> None:
    sign(vault, vault.signer())
    asked = vault.relay.asked[-1]
    assert (asked.method, asked.path) == ("POST", "/v1/transit/sign/keeper")
    assert asked.body["key_version"] == 1
    assert not asked.body.get("prehashed")


def test_a_rotated_key_signs_on_with_the_version_that_was_chosen(vault: VaultBackend) -> None:
    signer = vault.signer()
    vault.transit.rotate()
    assert sign(vault, signer)
    assert sign(vault, vault.signer())  # and so does a process that starts afterwards
    assert sign(vault, vault.signer_of_version(2, address=vault.transit.versions[1].public_key))


def test_a_version_that_may_no_longer_sign_is_refused(vault: VaultBackend) -> None:
    signer = vault.signer()
    vault.transit.rotate()
    vault.transit.oldest_that_signs = 2
    with pytest.raises(SigningRefused, match="of this version"):
        sign(vault, signer)


@pytest.mark.parametrize("version", [2, 7])
def test_the_account_of_one_version_is_not_that_of_another(vault: VaultBackend, version: int) -> None:
    vault.transit.rotate()
    with pytest.raises(SigningRefused, match=r"the key belongs to|the key has no version 7"):
        vault.signer_of_version(version).check()


def test_a_service_that_signs_with_its_newest_version_anyway_is_refused(vault: VaultBackend) -> None:
    signer = vault.signer()
    signer.check()
    vault.transit.rotate()

    def newest(asked: Asked) -> Canned:
        return vault.transit.answer(Asked(asked.method, asked.path, asked.query, asked.headers,
                                          {**asked.body, "key_version": 2}))  # fmt: skip

    vault.trouble = newest
    with pytest.raises(SigningRefused, match="version 1 was asked, another one signed"):
        sign(vault, signer)


@pytest.mark.parametrize(
    ("described", "complaint"),
    [
        ({"type": "ecdsa-p256"}, "must be ed25519"),
        ({"derived": True}, "not derived"),
        ({"exportable": True}, "can be exported"),
        ({"allow_plaintext_backup": True}, "can be exported"),
        ({"keys": {"1": 1_790_000_000}}, "no version 1"),  # how a symmetric key is described
        ({"keys": {"1": {"public_key": "?"}}}, "not base64"),
        ({"keys": {"1": {"public_key": "AAAA"}}}, "3 bytes is not Ed25519"),
    ],
)
def test_a_key_that_is_not_fit_is_refused(vault: VaultBackend, described: dict[str, Any], complaint: str) -> None:
    vault.transit.described = described
    with pytest.raises(SigningRefused, match=complaint):
        vault.signer().check()


@pytest.mark.parametrize("signature", ["vault:v1", "vault:v1:", "v1:AAAA", "vault:v1:AAAA?", "nonsense"])
def test_an_answer_that_is_no_signature_is_refused(vault: VaultBackend, signature: str) -> None:
    signer = vault.signer()
    signer.check()
    vault.fail_signatures(Canned({"data": {"signature": signature, "key_version": 1}}, headers=JSON))
    with pytest.raises(SigningRefused):
        sign(vault, signer)


def test_a_sealed_vault_is_waited_for(vault: VaultBackend) -> None:
    signer = vault.signer()
    vault.transit.sealed = True
    with pytest.raises(SignerUnavailable, match="sealed, or down"):
        sign(vault, signer)
    vault.transit.sealed = False
    assert sign(vault, signer)


def test_an_expired_token_is_read_again(vault: VaultBackend) -> None:
    signer = vault.signer()
    assert sign(vault, signer)
    vault.transit.tokens = {FRESH}
    vault.token = FRESH  # what an agent does with the file
    assert sign(vault, signer)
    assert [asked.headers["x-vault-token"] for asked in vault.relay.asked[-2:]] == [TOKEN, FRESH]


def test_a_refused_token_without_a_successor_is_renewed(vault: VaultBackend) -> None:
    signer = vault.signer()
    signer.check()
    vault.transit.tokens.clear()
    vault.transit.renewable.add(TOKEN)
    assert sign(vault, signer)


def test_a_token_that_has_ended_is_refused_without_a_loop(vault: VaultBackend) -> None:
    signer = vault.signer()
    signer.check()
    vault.transit.tokens.clear()
    with pytest.raises(SigningRefused, match="permission denied; the token has expired"):
        sign(vault, signer)
    assert vault.signatures == 1
    vault.transit.tokens.add(FRESH)
    vault.token = FRESH
    assert sign(vault, signer)  # no restart is needed


def test_a_fresh_token_without_the_right_to_this_key_is_refused(vault: VaultBackend) -> None:
    signer = vault.signer()
    signer.check()
    vault.token = FRESH
    vault.fail_signatures(refused(403, "permission denied"))
    with pytest.raises(SigningRefused, match="its policy lacks this key"):
        sign(vault, signer)
    assert vault.signatures == 2


def test_the_token_is_renewed_when_a_keeper_starts(vault: VaultBackend) -> None:
    vault.signer().check()
    paths = [asked.path for asked in vault.relay.asked]
    assert paths == ["/v1/auth/token/renew-self", "/v1/transit/keys/keeper"]


def test_mount_and_namespace_are_those_of_the_settings(vault: VaultBackend) -> None:
    vault.transit.mount, vault.transit.namespace = "stellar/keys", "team"
    key = TransitKey(vault.relay.url, "keeper", 1, "stellar/keys", "team")
    assert sign(vault, VaultTransitSigner(vault.address, key, lambda: TOKEN, QUICK))


def test_a_redirect_is_not_followed_with_the_token(vault: VaultBackend) -> None:
    signer = vault.signer()
    signer.check()
    other = VaultBackend()
    try:
        vault.fail_signatures(Canned(b"", 307, {"location": f"{other.relay.url}/v1/transit/sign/keeper"}))
        with pytest.raises(SignerUnavailable, match="a redirect or a proxy"):
            sign(vault, signer)
        assert other.relay.asked == []
    finally:
        other.close()


def test_a_proxy_of_the_environment_never_sees_the_token(vault: VaultBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = VaultBackend()
    try:
        monkeypatch.setenv("http_proxy", proxy.relay.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert sign(vault, vault.signer())
        assert proxy.relay.asked == []
    finally:
        proxy.close()
