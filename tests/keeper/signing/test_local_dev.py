"""The key in a file: made once, never shown, useless where money is."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from keeper.networks import PUBLIC_PASSPHRASE
from keeper.signing.interface import SigningRefused
from keeper.signing.local_dev import LocalDevSigner
from tests.keeper.signing.envelopes import STRANGER, policy_for, unsigned


def test_the_key_is_made_once_and_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "dev"
    signer = LocalDevSigner(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert LocalDevSigner(path).address == signer.address
    assert list(path.parent.iterdir()) == [path]
    assert path.read_text().strip() not in f"{signer!r} {signer}"


def test_of_two_that_start_together_both_use_the_key_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "dev"
    link = os.link

    def late(temporary: Path, name: Path) -> None:
        monkeypatch.setattr(os, "link", link)
        LocalDevSigner(path)  # the other one comes between our writing and our naming
        link(temporary, name)

    monkeypatch.setattr(os, "link", late)
    assert LocalDevSigner(path).address == LocalDevSigner(path).address
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "dev"
    LocalDevSigner(path)
    path.chmod(mode)
    with pytest.raises(SigningRefused, match="chmod 600"):
        LocalDevSigner(path)


@pytest.mark.parametrize("content", [b"planted, not a seed", b"", b"\xff\xfe", STRANGER.encode()])
def test_a_file_that_holds_no_seed_is_refused_and_not_shown(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "dev"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(SigningRefused, match="holds no secret seed") as caught:
        LocalDevSigner(path)
    assert "planted" not in str(caught.value)


def test_it_signs_nothing_in_production_and_nothing_for_the_public_network(tmp_path: Path) -> None:
    with pytest.raises(SigningRefused, match="in production"):
        LocalDevSigner(tmp_path / "dev", production=True)
    assert not (tmp_path / "dev").exists()
    signer = LocalDevSigner(tmp_path / "dev")
    public = replace(policy_for(signer.address), passphrase=PUBLIC_PASSPHRASE)
    with pytest.raises(SigningRefused, match="public network"):
        signer.sign_envelope(unsigned(signer.address), public)
