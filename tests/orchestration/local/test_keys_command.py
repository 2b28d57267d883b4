"""`ballast keys`: the key is printed once and alone, and stands nowhere else."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from models.access.keys import id_of
from orchestration.local import cli
from tests.orchestration.local.test_cli import on_test_server  # noqa: F401 - a fixture


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = cli.main(["keys", *words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_key_is_made_rotated_and_revoked(
    on_test_server: None, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, tmp_path: Path  # noqa: F811
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    assert told(capsys, "list")[:2] == (0, "No key yet: `ballast keys create NAME --scope read` makes one.\n")
    code, out, err = told(capsys, "create", "the bot", "--scope", "read", "--scope", "simulate", "--per-minute", "9")
    first = out.removesuffix("\n")
    assert code == 0
    assert id_of(first) is not None, "nothing but the key, so that a script can take it"
    assert "shown this once" in err
    code, out, err = told(capsys, "rotate", id_of(first) or "", "--overlap-hours", "1", "--days", "30")
    second = out.removesuffix("\n")
    assert (code, id_of(second) not in (None, id_of(first))) == (0, True)
    code, listed, _ = told(capsys, "list")
    assert code == 0
    for part in ("the bot", "read, simulate", "ending", "open", "9", id_of(first), id_of(second)):
        assert str(part) in listed
    code, revoked, _ = told(capsys, "revoke", first, "--reason", "typed whole")
    assert (code, revoked) == (0, f"Key {id_of(first)} is revoked.\n")
    code, _, again = told(capsys, "revoke", first)
    assert code == 2
    assert "ended already" in again
    written = [path.read_text(errors="replace") for path in (tmp_path / "state").rglob("*") if path.is_file()]
    for key in (first, second):
        secret = key.rpartition("_")[2]
        assert not [text for text in (listed, revoked, again, caplog.text, *written) if secret in text]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("create", "a\nb", "--scope", "read"), "NAME"),
        (("create", "bot", "--scope", "read", "--days", "0"), "days"),
        (("create", "bot", "--scope", "read", "--days", "nan"), "days"),
        (("create", "bot", "--scope", "read", "--per-minute", "-1"), "--per-minute"),
        (("rotate", "0123456789ab", "--overlap-hours", "-1"), "--overlap-hours"),
        (("rotate", "0123456789ab"), "there is no key 0123456789ab"),
        (("revoke", "0123456789ab"), "there is no key 0123456789ab"),
    ],
)
def test_what_cannot_be_is_one_line(
    on_test_server: None, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str  # noqa: F811
) -> None:  # fmt: skip
    code, out, err = told(capsys, *words)
    assert (code, out) == (2, "")
    assert said in err


def test_a_scope_must_be_said(on_test_server: None) -> None:  # noqa: F811
    with pytest.raises(SystemExit):
        cli.main(["keys", "create", "bot"])
