"""Settings of the signer: each variable, both ways to a token, nothing secret in what is passed on."""

from __future__ import annotations

from pathlib import Path

import pytest

from keeper.signing.choose import SignerChoice, SignerKind
from keeper.signing.local_dev import LocalDevSigner
from orchestration.resources.vault_chain import signer_of
from orchestration.settings import SettingsError, as_environment, load_settings, vault_token

ALL = {
    "BALLAST_SIGNER": "vault",
    "BALLAST_SIGNER_ADDRESS": "GABC",
    "BALLAST_SIGNER_KEY": "keeper",
    "BALLAST_SIGNER_REGION": "eu-west-1",
    "BALLAST_SIGNER_ENDPOINT": "https://vault.example:8200",
    "BALLAST_SIGNER_MOUNT": "stellar",
    "BALLAST_SIGNER_KEY_VERSION": "3",
    "BALLAST_SIGNER_NAMESPACE": "team",
    "BALLAST_ENVIRONMENT": "production",
}


def test_without_any_the_key_is_a_file_of_the_workspace(tmp_path: Path) -> None:
    settings = load_settings({"BALLAST_STATE": str(tmp_path)})
    assert settings.signer == SignerChoice()
    signer = signer_of(settings, "devnet")
    assert isinstance(signer, LocalDevSigner)
    assert (tmp_path / "simulated" / "keys" / "devnet.seed").is_file()


def test_every_variable_arrives_and_is_passed_on() -> None:
    signer = load_settings(ALL).signer
    assert signer == SignerChoice(
        SignerKind.VAULT, "GABC", "keeper", "eu-west-1", "https://vault.example:8200", "stellar", 3, "team", True
    )
    assert ALL.items() <= as_environment(load_settings(ALL)).items()
    assert load_settings(as_environment(load_settings(ALL))).signer == signer


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("BALLAST_SIGNER", "ledger", "'ledger' is not local, kms, vault"),
        ("BALLAST_ENVIRONMENT", "prod", "'prod' is not development or production"),
        ("BALLAST_SIGNER_KEY_VERSION", "0", "outside 1 to"),
        ("BALLAST_SIGNER_KEY_VERSION", "latest", "is not a number"),
        ("BALLAST_SIGNER_" + "KEYS", "keeper", "did you mean BALLAST_SIGNER_KEY"),
    ],
)
def test_a_wrong_one_is_named(name: str, value: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}.*{complaint}"):
        load_settings({name: value})


def test_the_token_is_read_anew_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VAULT_TOKEN", raising=False)
    monkeypatch.delenv("VAULT_TOKEN_FILE", raising=False)
    assert vault_token() is None
    file = tmp_path / "token"
    file.write_text("first\n")
    monkeypatch.setenv("VAULT_TOKEN_FILE", str(file))
    assert vault_token() == "first"
    file.write_text("second\n")
    assert vault_token() == "second"
    assert "second" not in str(as_environment(load_settings({"VAULT_TOKEN_FILE": str(file)})))
