"""Every way in which a provider can fail, over a loopback port; and that a key shows nowhere."""

from __future__ import annotations

import logging
import random
import socket
import traceback
from datetime import datetime, timedelta
from typing import Literal

import pytest

from models.contracts.market import Dataset
from orchestration.resources.warehouse_records import ProviderState
from orchestration.settings import Secret
from orchestration.sources.budget import Budget, Every, Quota
from orchestration.sources.circuit import Circuit
from orchestration.sources.egress import proxy_for
from orchestration.sources.errors import ProviderError
from orchestration.sources.http import PlacedKey, ProviderHttp, new_client, parsed, retry_after_s
from tests.orchestration.sources.loopback import (
    KEY,
    Asked,
    Canned,
    DictState,
    Wall,
    live_market,
    rate_spec,
    serving,
    utc,
)

NOW = utc("2026-03-04T12:00:00")  # a Wednesday
START = utc("2026-03-04T00:00:00")
GOOD = {"timestamp": 1772622000, "base": "USD", "rates": {"NGN": 1500.25, "KES": 129.5}}  # 2026-03-04T11:00Z
SPEC = rate_spec("USDNGN", "openexchangerates")

# answer, kind of error, requests made
FAULTS = {
    "quota, wait too long": (Canned({}, 429, {"Retry-After": "3600"}), "quota", 1),
    "quota, no word when": (Canned({}, 429), "quota", 1),
    "quota, short wait": (Canned({}, 429, {"Retry-After": "7"}), "quota", 3),
    "banned": (Canned({}, 418, {"Retry-After": "120"}), "banned", 1),
    "region": (Canned({}, 451), "banned", 1),
    "bad key": (Canned({}, 401), "bad_key", 1),
    "plan": (Canned({}, 403), "plan", 1),
    "no such thing": (Canned({}, 404), "schema", 1),
    "server error": (Canned("oops", 500), "outage", 3),
    "server error as a page": (Canned("<html>502</html>", 502), "outage", 3),
    "closed for long": (Canned("", 503, {"Retry-After": "3600"}), "outage", 1),
    "page with status 200": (Canned("<!doctype html><html></html>"), "schema", 1),
    "truncated": (Canned(b'{"timestamp": 1772622000, "base": "U'), "outage", 3),
    "empty": (Canned(b""), "outage", 3),
    "null": (Canned(b"null"), "outage", 3),
    "not utf-8": (Canned(b"\xff\xfe\x00"), "outage", 3),
    "nested too deeply": (Canned(b"[" * 100_000), "outage", 3),
    "bare string": (Canned('"no longer available"'), "schema", 1),
    "list": (Canned([]), "schema", 1),
    "no rates": (Canned({**GOOD, "rates": {}}), "schema", 1),
    "no base": (Canned({k: v for k, v in GOOD.items() if k != "base"}), "schema", 1),
    "rates not a table": (Canned({**GOOD, "rates": [1, 2]}), "schema", 1),
    "time in milliseconds": (Canned({**GOOD, "timestamp": 1772622000000}), "schema", 1),
    "time in the future": (Canned({**GOOD, "timestamp": 1772722000}), "schema", 1),
    "redirect": (Canned({}, 302, {"Location": "http://127.0.0.1:9/"}), "schema", 1),
    "rate is text": (Canned({**GOOD, "rates": {"NGN": "n/a"}}), "schema", 1),
    "rate is true": (Canned({**GOOD, "rates": {"NGN": True}}), "schema", 1),
    "rate is zero": (Canned({**GOOD, "rates": {"NGN": 0}}), "schema", 1),
    "rate is negative": (Canned({**GOOD, "rates": {"NGN": -1.5}}), "schema", 1),
    "rate is NaN": (Canned(b'{"timestamp": 1772622000, "base": "USD", "rates": {"NGN": NaN}}'), "outage", 3),
    "rate beyond bounds": (Canned(b'{"timestamp": 1772622000, "base": "USD", "rates": {"NGN": 1e400}}'), "schema", 1),
    "exponent beyond Decimal": (
        Canned(b'{"timestamp": 1772622000, "base": "USD", "rates": {"NGN": 1e9999999999999999999}}'), "outage", 3,
    ),
    "unknown code": (Canned({**GOOD, "rates": {"KES": 129.5}}), "unknown_symbol", 1),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_has_its_error_and_leaves_no_row(name: str) -> None:
    canned, kind, requests = FAULTS[name]
    wall = Wall(NOW)
    with serving(canned) as server:
        fetch = live_market([SPEC], server.url, wall).fetch(Dataset.FX_RATES, START, NOW, NOW)
    assert len(fetch.frame) == 0
    assert [(a.outcome, a.rows, a.error_kind) for a in fetch.answers] == [("failed", 0, kind)]
    assert len(server.asked) == requests
    assert len(wall.slept) == requests - 1


def test_hanging_server_is_left() -> None:
    wall = Wall(NOW)
    with serving(Canned(hang=True)) as server:
        fetch = live_market([SPEC], server.url, wall, timeout_s=0.1).fetch(Dataset.FX_RATES, START, NOW, NOW)
    assert [(a.error_kind, a.error_text) for a in fetch.answers] == [
        ("outage", "openexchangerates: no answer in time")
    ]  # fmt: skip


def test_refused_connection() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        state = DictState()
        fetch = live_market([SPEC], url, Wall(NOW), state=state).fetch(Dataset.FX_RATES, START, NOW, NOW)
    assert [(a.error_kind, a.error_text) for a in fetch.answers] == [("outage", "openexchangerates: cannot connect")]
    assert state.states["openexchangerates"].budget_used == 0  # what never left costs nothing


def test_the_proxy_of_the_environment_is_used_and_spared(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with serving(Canned(GOOD)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removeprefix("http://"))
        market = live_market([SPEC], "http://rates.invalid", Wall(NOW))
        assert len(market.fetch(Dataset.FX_RATES, START, NOW, NOW).frame) == 1
        assert proxy.asked[0].headers["host"] == "rates.invalid"
        monkeypatch.setenv("NO_PROXY", "invalid")
        assert proxy_for("http", "rates.invalid") is None
        assert proxy_for("http", "127.0.0.1") is None


def test_a_proxy_that_cannot_be_used_is_said_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "socks5://me:hidden@127.0.0.1:1")
    [answer] = live_market([SPEC], "http://rates.invalid", Wall(NOW)).fetch(Dataset.FX_RATES, START, NOW, NOW).answers
    assert answer.error_text is not None
    assert "proxy" in answer.error_text
    assert "hidden" not in answer.error_text


@pytest.mark.parametrize("url", ["", "ftp://127.0.0.1", "nonsense", "http://[::1"])
def test_wrong_base_url_is_an_answer(url: str) -> None:
    market = live_market([SPEC], {"openexchangerates": url or "http://"}, Wall(NOW))
    [answer] = market.fetch(Dataset.FX_RATES, START, NOW, NOW).answers
    assert answer.error_kind == "outage"


def test_recovers_after_a_retry_and_waits_as_told() -> None:
    wall = Wall(NOW)
    replies = [Canned({}, 429, {"Retry-After": "7"}), Canned("", 503), Canned(GOOD)]
    with serving(lambda _: replies.pop(0)) as server:
        fetch = live_market([SPEC], server.url, wall).fetch(Dataset.FX_RATES, START, NOW, NOW)
    assert [a.outcome for a in fetch.answers] == ["ok"]
    assert str(fetch.frame["rate"].iloc[0]) == "1500.25"
    assert 7 <= wall.slept[0] <= 8
    assert 1 <= wall.slept[1] <= 2  # the second back-off: 2 s, shortened by up to a half


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        (" 5 ", 5.0),
        ("Wed, 04 Mar 2026 12:01:30 GMT", 90.0),
        ("Wed, 04 Mar 2026 11:00:00 GMT", 0.0),
        ("Wed, 04 Mar 2026 12:01:30 -0000", 90.0),
        ("Wed, 04 Mar 2026 12:01:30 +99999999999999", None),
        ("soon", None),
        ("-3", None),
        ("", None),
        ("1" * 5000, 111111111.0),
    ],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, NOW) == seconds


def test_circuit_opens_after_failures_and_closes_again() -> None:
    wall, state = Wall(NOW), DictState()
    with serving(Canned("", 500)) as server:

        def kinds() -> list[str | None]:
            fetch = live_market([SPEC], server.url, wall, state=state).fetch(
                Dataset.FX_RATES, START, wall.now, wall.now
            )
            return [a.error_kind for a in fetch.answers]

        assert [kinds() for _ in range(4)] == [["outage"], ["outage"], ["outage"], ["circuit_open"]]
        assert len(server.asked) == 9
        wall.sleep(301)
        assert kinds() == ["outage"]  # half open: one try, which fails
        assert len(server.asked) == 10
        assert kinds() == ["circuit_open"]
        wall.sleep(301)
        server.script = lambda _: Canned(GOOD)
        assert kinds() == [None]
        assert state.states["openexchangerates"].failures == 0
        assert state.states["openexchangerates"].open_until is None


def test_ban_is_respected_until_it_ends() -> None:
    wall, state = Wall(NOW), DictState()
    with serving(Canned({}, 418, {"Retry-After": "7200"})) as server:
        market = live_market([SPEC], server.url, wall, state=state)
        market.fetch(Dataset.FX_RATES, START, NOW, NOW)
        wall.sleep(7100)
        [answer] = market.fetch(Dataset.FX_RATES, START, wall.now, wall.now).answers
        assert answer.error_kind == "circuit_open"
        assert answer.error_text is not None
        assert "2026-03-04T14:00:00Z" in answer.error_text
        wall.sleep(200)
        server.script = lambda _: Canned(GOOD)
        [answer] = market.fetch(Dataset.FX_RATES, START, wall.now, wall.now).answers
        assert answer.outcome == "ok"
    assert len(server.asked) == 2


def test_unbelievably_long_ban_is_bounded() -> None:
    state = DictState()
    with serving(Canned({}, 418, {"Retry-After": "999999999"})) as server:
        live_market([SPEC], server.url, Wall(NOW), state=state).fetch(Dataset.FX_RATES, START, NOW, NOW)
    assert state.states["openexchangerates"].open_until == utc("2026-03-07T12:00:00")


def test_spent_budget_sends_nothing() -> None:
    state = DictState()
    state.save_provider_state(ProviderState("openexchangerates", "2026-03", 1000, 1000))
    with serving(Canned(GOOD)) as server:
        [answer] = (
            live_market([SPEC], server.url, Wall(NOW), state=state).fetch(Dataset.FX_RATES, START, NOW, NOW).answers
        )
        assert (answer.error_kind, server.asked) == ("budget", [])
        assert state.states["openexchangerates"].failures == 0
        april = utc("2026-04-01T00:00:30")
        server.script = lambda _: Canned({**GOOD, "timestamp": 1775001600})
        market = live_market([SPEC], server.url, Wall(april), state=state)
        [answer] = market.fetch(Dataset.FX_RATES, utc("2026-04-01"), april, april).answers
        assert answer.outcome == "ok"


def test_whole_answer_has_a_deadline() -> None:
    """The clock jumps while the body is read, as it would behind a server that sends a byte now and then."""

    class Jumping(Wall):
        def __call__(self) -> datetime:
            self.now += timedelta(seconds=61)
            return self.now

    with serving(Canned(GOOD)) as server:
        [answer] = live_market([SPEC], server.url, Jumping(NOW)).fetch(Dataset.FX_RATES, START, NOW, NOW).answers
    assert answer.error_text == "openexchangerates: answer was not complete after 60 s"


def test_numbers_keep_their_digits() -> None:
    assert str(parsed("1.10")) == "1.10"
    assert parsed("[Infinity]") is None


# --- keys -----------------------------------------------------------------------------------------------------------

KEYED = {
    "openexchangerates": ("USDNGN", "header"),
    "fixer": ("EURUSD", "query"),
    "open_er_api": ("USDNGN", "path"),
    "twelvedata": ("USDNGN", "header"),
}


def _sent_key(asked: Asked) -> bool:
    return KEY in repr((asked.path, asked.query, asked.headers))


@pytest.mark.parametrize("provider", KEYED)
@pytest.mark.parametrize("fault", ["echo", "hang", "refused", "redirect", "truncated", "server error"])
def test_key_shows_nowhere(
    provider: str, fault: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    state = DictState()
    echo = {
        "message": KEY,
        "error": {"code": 101, "info": KEY, "type": KEY},
        "error-type": KEY,
        "status": "error",
        "result": "error",
    }
    scripts = {
        "echo": Canned(echo | {"code": 400, "description": f"key {KEY} refused"}, 400),
        "hang": Canned(hang=True),
        "refused": Canned(),
        "redirect": Canned({}, 302, {"Location": f"http://127.0.0.1:9/?access_key={KEY}"}),
        "truncated": Canned(f'{{"{KEY}": '),
        "server error": Canned(KEY, 500, {"X-Key": KEY}),
    }
    spec = rate_spec(KEYED[provider][0], provider)
    with serving(scripts[fault]) as server:
        url = "http://127.0.0.1:9" if fault == "refused" else server.url
        market = live_market([spec], url, Wall(NOW), state=state, timeout_s=0.1 if fault == "hang" else 5.0)
        fetch = market.fetch(Dataset.FX_RATES, START - (NOW - START) * 2, NOW, NOW)
    assert fetch.answers
    assert all(a.outcome == "failed" for a in fetch.answers)
    if fault != "refused":
        assert all(_sent_key(a) for a in server.asked)  # it was sent, or the test would show nothing
    shown = repr(fetch) + repr(market.__dict__) + repr(state.states) + caplog.text + "".join(capfd.readouterr())
    assert KEY not in shown


@pytest.mark.parametrize("place", ["query", "header", "path"])
@pytest.mark.parametrize("fault", [Canned(hang=True), Canned(status=418), Canned("{"), None])
def test_exception_chain_holds_no_key(place: Literal["query", "header", "path"], fault: Canned | None) -> None:
    state, wall = DictState(), Wall(NOW)
    with serving(fault or Canned()) as server, new_client(timeout_s=0.1) as client:
        http = ProviderHttp(
            "p",
            server.url if fault else "http://127.0.0.1:9",
            client,
            circuit=Circuit("p", state, wall),
            budget=Budget("p", Quota(9, Every.DAY), state, wall),
            clock=wall,
            sleep=wall.sleep,
            rng=random.Random(1),
            key=PlacedKey(Secret(KEY), place, "k"),
        )
        with pytest.raises(ProviderError) as caught:
            http.get("/k/x", {}, lambda _: None, lambda body: body)
    error = caught.value
    assert (error.__cause__, error.__context__) == (None, None)
    text = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert KEY not in text


@pytest.mark.parametrize("text", ["", "with space", "new\nline", "naïve"])
def test_unreadable_key_is_a_bad_key_and_is_not_sent(text: str) -> None:
    key = PlacedKey(Secret(text), "header", "Authorization")
    assert not key.readable
    assert text not in repr(key) or not text


def test_redaction_knows_encoded_forms() -> None:
    key = PlacedKey(Secret("a/b+c=d"), "query", "k")
    assert key.redact("a/b+c=d a%2Fb%2Bc%3Dd") == "*** ***"
