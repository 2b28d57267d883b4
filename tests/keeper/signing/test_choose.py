"""From settings to a signer: what each kind needs, what no kind may do."""

from __future__ import annotations

from pathlib import Path

import pytest

from keeper.networks import PASSPHRASES
from keeper.signing.choose import SignerChoice, SignerKind, choose_signer
from keeper.signing.interface import SigningRefused
from keeper.signing.kms import KmsSigner
from keeper.signing.local_dev import LocalDevSigner
from keeper.signing.service import Patience
from keeper.signing.vault_transit import VaultTransitSigner
from tests.keeper.signing.envelopes import STRANGER, policy_for, unsigned

KMS = SignerChoice(SignerKind.KMS, STRANGER, "key-1", "eu-west-1")
VAULT = SignerChoice(SignerKind.VAULT, STRANGER, "keeper", endpoint="https://vault.example:8200")


@pytest.mark.parametrize(
    ("choice", "kind"), [(SignerChoice(), LocalDevSigner), (KMS, KmsSigner), (VAULT, VaultTransitSigner)]
)
def test_each_kind_is_made_without_asking_anybody(tmp_path: Path, choice: SignerChoice, kind: type) -> None:
    signer = choose_signer(choice, "testnet", tmp_path / "seed", lambda: "hvs.planted")
    assert type(signer) is kind
    assert signer.address == (choice.address or signer.address)
    assert "planted" not in f"{signer!r} {signer} {choice!r}"


@pytest.mark.parametrize("choice", [SignerChoice(), KMS, VAULT])
@pytest.mark.parametrize(
    ("network", "passphrase"), [("testnet", None), ("private", "Ours ; 2026"), ("testnet", PASSPHRASES["devnet"])]
)
def test_it_signs_for_the_network_of_its_settings_alone(
    tmp_path: Path, choice: SignerChoice, network: str, passphrase: str | None
) -> None:
    signer = choose_signer(choice, network, tmp_path / "seed", lambda: "hvs.planted", passphrase)
    with pytest.raises(SigningRefused, match="network: the policy is for another one"):
        signer.sign_envelope(unsigned(signer.address), policy_for(signer.address))  # of the devnet


@pytest.mark.parametrize(
    ("choice", "network", "complaint"),
    [
        (SignerChoice(), "public", "never signs for the public network"),
        (SignerChoice(production=True), "testnet", "nothing in production"),
        (SignerChoice(SignerKind.KMS, None, "key-1"), "testnet", "BALLAST_SIGNER_ADDRESS: it is not set"),
        (SignerChoice(SignerKind.KMS, "G123", "key-1"), "testnet", "BALLAST_SIGNER_ADDRESS: it is not the address"),
        (SignerChoice(SignerKind.KMS, STRANGER), "testnet", "BALLAST_SIGNER_KEY: it is not set"),
        (SignerChoice(SignerKind.VAULT, STRANGER), "testnet", "BALLAST_SIGNER_KEY: it is not set"),
        (SignerChoice(SignerKind.VAULT, STRANGER, "keeper"), "testnet", "BALLAST_SIGNER_ENDPOINT: it is not set"),
        (VAULT, "testnet", "VAULT_TOKEN or VAULT_TOKEN_FILE: it is not set"),
    ],
)
def test_what_is_missing_or_unsafe_is_named(tmp_path: Path, choice: SignerChoice, network: str, complaint: str) -> None:
    with pytest.raises(SigningRefused, match=complaint):
        choose_signer(choice, network, tmp_path / "seed")
    assert not (tmp_path / "seed").exists()


@pytest.mark.parametrize("kind", [SignerKind.KMS, SignerKind.VAULT])
@pytest.mark.parametrize(
    ("endpoint", "complaint"),
    [
        ("http://vault.example:8200", "must begin with https"),
        ("vault.example:8200", "must begin with https"),
        ("ftp://127.0.0.1", "must begin with https"),
        ("https://user:planted@vault.example", "must not hold credentials"),
        ("https://vault.example/?token=planted", "must not hold credentials"),
    ],
)
def test_an_address_that_would_tell_a_secret_is_refused(
    tmp_path: Path, kind: SignerKind, endpoint: str, complaint: str
) -> None:
    choice = SignerChoice(kind, STRANGER, "key-1", "eu-west-1", endpoint)
    with pytest.raises(SigningRefused, match=complaint) as caught:
        choose_signer(choice, "testnet", tmp_path / "seed", lambda: "hvs.planted")
    assert "planted" not in str(caught.value)


def test_the_wait_for_a_service_is_bounded() -> None:
    """Three times the longest wait for an answer and the pauses between: less than what is left of an envelope."""
    p = Patience()
    pauses = sum(p.pause_s * 2**n for n in range(p.attempts - 1))
    assert p.attempts * (p.connect_timeout_s + p.read_timeout_s) + pauses == pytest.approx(18.9)
