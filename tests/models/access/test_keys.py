"""What a key looks like, what is kept of it, and what of it may be shown."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.access.keys import ID_BYTES, SECRET_BYTES, digest_of, id_of, is_it, redacted, written

IDS, SECRETS = (st.binary(min_size=n, max_size=n) for n in (ID_BYTES, SECRET_BYTES))
KEY = "ballast_0a0b0c0d0e0f_" + "5e" * 32


def test_a_key_written_out() -> None:
    assert written(bytes([10, 11, 12, 13, 14, 15]), b"\x5e" * 32) == KEY
    assert digest_of(KEY) == hashlib.sha256(KEY.encode("ascii")).digest()


@pytest.mark.parametrize(("id_bytes", "secret_bytes"), [(ID_BYTES - 1, SECRET_BYTES), (ID_BYTES, SECRET_BYTES - 1)])
def test_a_short_secret_is_no_key(id_bytes: int, secret_bytes: int) -> None:
    with pytest.raises(ValueError, match="bytes"):
        written(bytes(id_bytes), bytes(secret_bytes))


@given(IDS, SECRETS)
def test_a_key_is_known_by_its_digest_and_hides_nothing_but_its_secret(key_id: bytes, secret: bytes) -> None:
    key = written(key_id, secret)
    assert id_of(key) == key_id.hex()
    assert is_it(key, digest_of(key))
    assert not is_it(key, digest_of(written(key_id, bytes([secret[0] ^ 1, *secret[1:]]))))
    shown = redacted(f"GET /v1/{key}?key={key} failed")
    assert secret.hex() not in shown
    assert shown.count(key_id.hex()) == 2


@pytest.mark.parametrize(
    "text",
    ["", "ballast", KEY[:-1], KEY + "0", KEY.upper(), " " + KEY, KEY + "\n", KEY.replace("ballast", "blast"),
     KEY.replace("5e", "5g")],
)  # fmt: skip
def test_what_is_no_key(text: str) -> None:
    assert id_of(text) is None


@pytest.mark.parametrize("text", [KEY[:-1], KEY + "0", KEY.upper(), KEY.replace("5e", "5g"), f"Bearer {KEY}, {KEY}"])
def test_what_is_left_of_a_key_is_hidden_too(text: str) -> None:
    assert "5e5e" not in redacted(text).lower()
    assert "5g5g" not in redacted(text)


def test_a_token_is_hidden_whole() -> None:
    assert redacted("Bearer eyJhbGciOiJub25lIn0.e30.c2ln_-x, and more") == "Bearer [redacted], and more"


def test_other_words_stay() -> None:
    assert redacted("ballast_reader, ballast_0a0b0c0d0e0f and ballast keys") == (
        "ballast_reader, ballast_0a0b0c0d0e0f and ballast keys"
    )
