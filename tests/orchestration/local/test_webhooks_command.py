"""`ballast webhooks`: from adding to removing, on a database and a receiver of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration.local import cli
from tests.orchestration.local.test_cli import on_test_server  # noqa: F401 - a fixture
from tests.orchestration.sources.loopback import Canned, Loopback, serving

KEY = "planted-planted-planted-planted-planted"


@pytest.fixture
def receiver() -> Iterator[Loopback]:
    with serving(Canned("ok")) as made:
        yield made


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = cli.main(["webhooks", *words])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_the_life_of_a_webhook(
    on_test_server: None,  # noqa: F811
    receiver: Loopback,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    address = f"{receiver.url}/hook/secret-path"
    assert told(capsys, "add", "desk", address, "--key", "a1")[0] == 2, "no key yet"
    monkeypatch.setenv("WEBHOOK_KEY_A1", KEY)
    code, said = told(capsys, "add", "desk", address, "--key", "a1")
    assert (code, "in clear" in said) == (2, True)
    monkeypatch.setenv("BALLAST_WEBHOOK_PRIVATE", "1")
    assert told(capsys, "list") == (0, "No webhook.\n")
    assert told(capsys, "add", "desk", address, "--key", "a1", "--types", "score, alert", "--series", "BTC")[0] == 0

    assert told(capsys, "test", "desk")[0] == 0
    (asked,) = receiver.asked
    assert (asked.body["kind"], asked.headers["ballast-signature"].count("a1=")) == ("test", 1)

    (tmp_path / "b2").write_text(KEY[::-1], encoding="utf-8")
    monkeypatch.setenv("WEBHOOK_KEY_B2_FILE", str(tmp_path / "b2"))
    assert told(capsys, "rotate", "desk", "--key", "b2")[0] == 0
    told(capsys, "test", "desk")
    assert {"a1", "b2"} <= {part.split("=")[0] for part in receiver.asked[-1].headers["ballast-signature"].split(",")}

    code, said = told(capsys, "list")
    assert code == 0
    for part in ("desk", "http://127.0.0.1", "score, alert", "BTC", "b2", "nothing yet"):
        assert part in said
    for secret in (KEY, KEY[::-1], "secret-path"):
        assert secret not in said

    receiver.script = lambda _: Canned("", 404)
    code, said = told(capsys, "test", "desk")
    assert (code, "HTTP 404" in said) == (2, True)
    assert told(capsys, "remove", "desk")[0] == 0
    code, said = told(capsys, "test", "desk")
    assert (code, "there is no webhook 'desk'" in said) == (2, True)
