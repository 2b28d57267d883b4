"""Keys of a provider: fetched seldom, kept while it is away, and only from where the settings say."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from serving.access.signing_keys import KeysUnavailable, SigningKeys, fetch


class Provider:
    def __init__(self) -> None:
        self.keys: Any = [{"kid": "a"}]
        self.now_s, self.asked, self.is_away = 0.0, 0, False
        self.signing_keys = SigningKeys(self._read, lambda: self.now_s)

    def _read(self) -> dict[str, Any]:
        self.asked += 1
        if self.is_away:
            raise OSError("refused")
        return {"keys": self.keys}


def test_keys_are_fetched_once_and_anew_after_a_while() -> None:
    provider = Provider()
    asked = []
    for provider.now_s in (0, 1, 599, 601, 602):
        assert provider.signing_keys.find("a") == {"kid": "a"}
        asked.append(provider.asked)
    assert asked == [1, 1, 1, 2, 2]


def test_a_new_key_is_found_and_names_that_do_not_exist_are_no_flood() -> None:
    provider = Provider()
    provider.signing_keys.find("a")
    provider.keys = [{"kid": "b"}]
    provider.now_s = 31
    assert provider.signing_keys.find("b") == {"kid": "b"}
    assert [provider.signing_keys.find(f"guess {n}") for n in range(100)] == [None] * 100
    assert provider.asked == 2
    assert provider.signing_keys.find("a") is None, "one that was withdrawn"


def test_a_provider_that_is_away_stops_nobody_for_a_day() -> None:
    provider = Provider()
    provider.signing_keys.find("a")
    provider.is_away = True
    provider.now_s = 86_400
    assert provider.signing_keys.find("a") == {"kid": "a"}
    provider.now_s = 86_401
    with pytest.raises(KeysUnavailable):
        provider.signing_keys.find("a")
    provider.is_away, provider.now_s = False, 86_440
    assert provider.signing_keys.find("a") == {"kid": "a"}


@pytest.mark.parametrize("listed", [None, {}, "keys", [], [1, {"kid": 2}, {}]])
def test_what_a_provider_lists_may_be_anything(listed: Any) -> None:
    provider = Provider()
    provider.keys = listed
    assert provider.signing_keys.find("a") is None


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, headers, body = {
            "/keys": (200, {}, b'{"keys": []}'),
            "/moved": (302, {"Location": "/keys"}, b""),
            "/list": (200, {}, b"[]"),
            "/words": (200, {}, b"not JSON"),
            "/endless": (200, {}, b" " * 300_000 + b"{}"),
        }.get(self.path, (404, {}, b""))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_document_is_fetched(address: str) -> None:
    assert fetch(f"{address}/keys") == {"keys": []}


@pytest.mark.parametrize("path", ["/moved", "/list", "/words", "/endless", "/none"])
def test_what_is_no_document_of_keys(address: str, path: str) -> None:
    with pytest.raises((OSError, ValueError)):
        fetch(address + path)
