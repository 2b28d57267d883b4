"""Only public addresses are sent to, whatever name leads to them."""

from __future__ import annotations

import ipaddress

import httpx
import pytest

from orchestration.alerts.channels.guarded import Guarded, RefusedAddress, is_public
from orchestration.sources.egress import Egress


class Recorder(Egress):
    """Connects to nothing; remembers where it would have."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[httpx.Request] = []

    def _through(self, proxy: str | None, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return httpx.Response(200)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True), ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False), ("10.1.2.3", False), ("172.16.0.1", False), ("192.168.1.1", False), ("0.0.0.0", False),
        ("169.254.169.254", False), ("100.64.0.1", False), ("224.0.0.1", False), ("255.255.255.255", False),
        ("::1", False), ("::", False), ("fe80::1", False), ("fc00::1", False), ("ff02::1", False),
        ("::ffff:10.0.0.1", False), ("64:ff9b::a00:1", False), ("2002:a00:1::", False),
    ],
)  # fmt: skip
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is public


def asked(addresses: list[str], may_be_private: bool = False) -> list[httpx.Request]:
    out = Recorder()
    request = httpx.Request("POST", "https://hooks.example.org/a?b=c", headers={"Host": "hooks.example.org"})
    Guarded(may_be_private, out, lambda host, port: addresses).handle_request(request)
    return out.asked


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def test_the_connection_goes_to_the_address_that_was_judged() -> None:
    (sent,) = asked(["93.184.216.34"])
    assert (sent.url.host, sent.url.raw_path) == ("93.184.216.34", b"/a?b=c")
    assert sent.headers["host"] == "hooks.example.org"
    assert sent.extensions["sni_hostname"] == "hooks.example.org", "the certificate is that of the name"
    (sixth,) = asked(["2606:2800:220:1:248:1893:25c8:1946"])
    assert sixth.url.host == "2606:2800:220:1:248:1893:25c8:1946"


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["93.184.216.34", "10.0.0.1"], ["fe80::1%eth0"], []])
def test_a_name_that_leads_inside_is_refused(addresses: list[str]) -> None:
    with pytest.raises(RefusedAddress):
        asked(addresses)


def test_a_setting_lets_it_lead_inside() -> None:
    (sent,) = asked(["10.0.0.1"], may_be_private=True)
    assert sent.url.host == "hooks.example.org"


def test_a_name_that_nobody_knows_is_no_connection() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise OSError

    with pytest.raises(httpx.ConnectError):
        Guarded(False, Recorder(), unknown).handle_request(httpx.Request("POST", "https://nowhere.invalid/"))


def test_behind_a_proxy_the_name_is_judged_and_left_to_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    (sent,) = asked(["93.184.216.34"])
    assert sent.url.host == "hooks.example.org"
    with pytest.raises(RefusedAddress):
        asked(["10.0.0.1"])
