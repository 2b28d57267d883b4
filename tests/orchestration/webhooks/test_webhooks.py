"""Webhooks on a real database and a receiver of this machine: what is sent, signed, tried again, given up, refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestration.resources.warehouse_tables import Tables
from orchestration.settings import Settings, SettingsError, load_settings
from orchestration.webhooks import delivery, subscriptions
from orchestration.webhooks.delivery import GIVE_UP, deliver, has_events, next_batch, states
from orchestration.webhooks.subscriptions import WebhookError, add, remove, rotate, subscription
from tests.orchestration.sources.loopback import Asked, Canned, Loopback, serving
from tests.orchestration.test_event_feed import score

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
KEYS = {"a1": "planted" * 6, "b2": "implanted" * 5}
ENVIRONMENT = {f"WEBHOOK_KEY_{name.upper()}": key for name, key in KEYS.items()} | {"BALLAST_WEBHOOK_PRIVATE": "1"}
DOCS = Path(__file__).parents[3] / "docs" / "events.md"


@pytest.fixture
def tables(database_url: str) -> Iterator[Tables]:
    made = Tables.connect(database_url)
    yield made
    made.close()


@pytest.fixture
def settings() -> Settings:
    return load_settings(ENVIRONMENT)


@pytest.fixture
def receiver() -> Iterator[Loopback]:
    with serving(Canned("ok")) as made:
        yield made


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestration.alerts.channels.http_post.PAUSE_S", 0.0)


@pytest.fixture(scope="module")
def is_from_ballast() -> Callable[..., bool]:
    """The example of the documentation, as it stands there."""
    (example,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    space: dict[str, Any] = {}
    exec(example, space)
    found: Callable[..., bool] = space["is_from_ballast"]
    return found


def subscribe(tables: Tables, settings: Settings, server: Loopback, **changes: Any) -> None:
    asked: dict[str, Any] = {"types": ("score",), "series": (), "key_id": "a1"} | changes
    add(tables, settings, "desk", f"{server.url}/hook", asked["key_id"], asked["types"], asked["series"], NOW)


def scored(tables: Tables, *numbers: int, subject: str = "BTC") -> None:
    for n in numbers:
        with tables.transaction() as connection:
            score(connection, n, subject)


def tell(tables: Tables, settings: Settings, minute: float = 0) -> str | None:
    (told,) = deliver(tables, settings, lambda: NOW + minute * MINUTE)
    return told.error


def heard(asked: Asked) -> list[float]:
    return [event["score"] for event in asked.body["events"]]


def test_what_happens_after_it_was_added_is_told_once_and_signed(
    tables: Tables, settings: Settings, receiver: Loopback, is_from_ballast: Callable[..., bool]
) -> None:
    scored(tables, 1)
    subscribe(tables, settings, receiver)
    assert not has_events(tables, NOW)
    scored(tables, 2, 3)
    assert has_events(tables, NOW)
    assert (tell(tables, settings), tell(tables, settings)) == (None, None)
    (asked,) = receiver.asked
    assert heard(asked) == [2, 3]
    assert {name: asked.body[name] for name in ("kind", "webhook", "market")} == {
        "kind": "events", "webhook": "desk", "market": "simulated",
    }  # fmt: skip
    assert asked.headers["ballast-message-id"] == asked.body["id"]
    header, at = asked.headers["ballast-signature"], NOW.timestamp()
    assert is_from_ballast(header, asked.raw, KEYS, at)
    for wrong in (
        (header, asked.raw + b" ", KEYS, at),
        (header, asked.raw, {"a1": "another"}, at),
        (header, asked.raw, {}, at),
        (header, asked.raw, KEYS, at + 301),
        (header, asked.raw, KEYS, at - 301),
        (header.replace("t=1", "t=2"), asked.raw, KEYS, at),
        ("a1=", asked.raw, KEYS, at),
        ("", asked.raw, KEYS, at),
    ):
        assert not is_from_ballast(*wrong)


def test_a_message_that_fails_comes_again_as_it_was_and_before_what_follows(
    tables: Tables, settings: Settings, receiver: Loopback
) -> None:
    subscribe(tables, settings, receiver)
    receiver.script = lambda _: Canned("", 500)
    scored(tables, 1)
    assert tell(tables, settings) == "HTTP 500"
    scored(tables, 2)
    assert tell(tables, settings, 1) == "HTTP 500"
    receiver.script = lambda _: Canned("ok")
    assert tell(tables, settings, 3) is None
    ids = [asked.headers["ballast-message-id"] for asked in receiver.asked]
    assert len(set(ids[:-1])) == 1, "two passes of three attempts, and the one that arrived"
    assert len(ids) == 8
    assert ids[-1] != ids[0]
    assert [heard(asked) for asked in receiver.asked[-2:]] == [[1], [2]]


def test_a_process_that_dies_before_it_notes_repeats_the_id(
    tables: Tables, settings: Settings, receiver: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe(tables, settings, receiver)
    scored(tables, 1)
    with monkeypatch.context() as patched:
        patched.setattr(delivery, "_note", _die)
        with pytest.raises(KeyboardInterrupt):
            tell(tables, settings)
    assert tell(tables, settings) is None
    first, again = receiver.asked
    assert first.body == again.body


def _die(*_: Any) -> None:
    raise KeyboardInterrupt


def test_pauses_grow_and_after_a_day_it_is_given_up(tables: Tables, settings: Settings, receiver: Loopback) -> None:
    subscribe(tables, settings, receiver)
    receiver.script = lambda _: Canned("", 404)
    scored(tables, 1)
    asked = []
    for minute in range(20):
        if has_events(tables, NOW + minute * MINUTE):
            asked.append(minute)
            tell(tables, settings, minute)
    assert asked == [0, 1, 2, 4, 8, 13, 18]
    scored(tables, 2)
    receiver.script = lambda request: Canned("", 404 if heard(request) == [1] else 200)
    assert tell(tables, settings, GIVE_UP / MINUTE) is None
    assert heard(receiver.asked[-1]) == [2]
    rows = tables.rows("select outcome, score_upto, error from ops.webhook_deliveries order by id desc limit 2")
    assert [(r["outcome"], r["score_upto"]) for r in rows] == [("sent", 2), ("dead", 1)]
    assert rows[1]["error"] == "HTTP 404: refused, look at the address and its key"
    assert states(tables)["desk"]["dead"] == 1


def test_only_what_was_asked_for_is_sent_and_the_rest_is_passed_over(
    tables: Tables, settings: Settings, receiver: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_AT_ONCE", 3)
    monkeypatch.setattr(delivery, "MOST_EVENTS", 2)
    subscribe(tables, settings, receiver, series=("ETH",))
    scored(tables, 1, 2, 3, 4)
    scored(tables, 5, 6, 7, subject="ETH")
    assert tell(tables, settings) is None
    assert [heard(asked) for asked in receiver.asked] == [[5, 6], [7]]
    assert next_batch(tables, subscription(tables, "desk")) is None


def test_a_key_is_turned_over_without_a_gap(
    tables: Tables, settings: Settings, receiver: Loopback, is_from_ballast: Callable[..., bool]
) -> None:
    subscribe(tables, settings, receiver)
    assert rotate(tables, settings, "desk", "b2", NOW) == NOW + timedelta(hours=24)
    for n, (minute, names) in enumerate([(1, {"a1", "b2"}), (24 * 60 + 1, {"b2"})], start=1):
        scored(tables, n)
        tell(tables, settings, minute)
        asked, at = receiver.asked[-1], (NOW + minute * MINUTE).timestamp()
        accepted = {
            name
            for name in KEYS
            if is_from_ballast(asked.headers["ballast-signature"], asked.raw, {name: KEYS[name]}, at)
        }
        assert accepted == names


def test_one_that_is_removed_is_told_nothing_and_begins_anew(
    tables: Tables, settings: Settings, receiver: Loopback
) -> None:
    subscribe(tables, settings, receiver)
    remove(tables, "desk", NOW)
    scored(tables, 1)
    assert deliver(tables, settings, lambda: NOW) == []
    subscribe(tables, settings, receiver)
    scored(tables, 2)
    tell(tables, settings)
    assert [heard(asked) for asked in receiver.asked] == [[2]]


def test_no_key_in_any_row_error_or_address_shown(tables: Tables, receiver: Loopback) -> None:
    subscribe(tables, load_settings(ENVIRONMENT), receiver)
    scored(tables, 1)
    lacking = load_settings({"BALLAST_WEBHOOK_PRIVATE": "1"})
    assert tell(tables, lacking) == "WEBHOOK_KEY_A1: is not set, and neither is WEBHOOK_KEY_A1_FILE"
    told = str(tables.rows("select * from ops.webhooks")) + str(tables.rows("select * from ops.webhook_deliveries"))
    assert not any(key in told or key in repr(load_settings(ENVIRONMENT)) for key in KEYS.values())
    assert subscription(tables, "desk").place == "http://127.0.0.1"


def test_a_redirect_is_not_followed(tables: Tables, settings: Settings, receiver: Loopback) -> None:
    subscribe(tables, settings, receiver)
    receiver.script = lambda _: Canned("", 307, {"location": f"{receiver.url}/elsewhere"})
    scored(tables, 1)
    assert "redirects are not followed" in str(tell(tables, settings))
    assert {asked.path for asked in receiver.asked} == {"/hook"}


def test_a_private_address_is_refused_at_sending(tables: Tables, settings: Settings, receiver: Loopback) -> None:
    subscribe(tables, settings, receiver)
    scored(tables, 1)
    strict = load_settings({name: value for name, value in ENVIRONMENT.items() if name.startswith("WEBHOOK")})
    assert tell(tables, strict) == "the address is private: BALLAST_WEBHOOK_PRIVATE=1 would allow it"
    assert receiver.asked == []


@pytest.mark.parametrize(
    ("name", "address", "key", "types", "why"),
    [
        ("Desk", "https://example.org/", "a1", ("score",), "is no name"),
        ("desk", "ftp://example.org/", "a1", ("score",), "no http"),
        ("desk", "https://ada:secret@example.org/", "a1", ("score",), "user, a password"),
        ("desk", "http://example.org/", "a1", ("score",), "in clear"),
        ("desk", "https://10.0.0.8/", "a1", ("score",), "private net"),
        ("desk", "https://[::1]/", "a1", ("score",), "private net"),
        ("desk", "https://169.254.169.254/", "a1", ("score",), "private net"),
        ("desk", "https://example.org/", "a1", ("scores",), "no type of event"),
        ("desk", "https://example.org/", "A1", ("score",), "no name of a key"),
        ("desk", "https://example.org/", "t", ("score",), "no name of a key"),
    ],
)
def test_what_cannot_be_subscribed(
    tables: Tables, name: str, address: str, key: str, types: tuple[str, ...], why: str
) -> None:
    strict = load_settings({"WEBHOOK_KEY_A1": KEYS["a1"]})
    with pytest.raises(WebhookError, match=why) as caught:
        add(tables, strict, name, address, key, types, (), NOW)
    assert "secret" not in str(caught.value)
    assert subscriptions.subscriptions(tables) == []


@pytest.mark.parametrize(
    ("environment", "why"),
    [({}, "WEBHOOK_KEY_A1: is not set"), ({"WEBHOOK_KEY_A1": "short"}, "at least 32")],
)
def test_a_key_must_be_there_and_long(tables: Tables, environment: dict[str, str], why: str) -> None:
    with pytest.raises(SettingsError, match=why) as caught:
        add(tables, load_settings(environment), "desk", "https://example.org/", "a1", ("score",), (), NOW)
    assert "short" not in str(caught.value)


def test_a_key_may_be_in_a_file(tables: Tables, tmp_path: Path) -> None:
    (tmp_path / "a1").write_text(KEYS["a1"] + "\n", encoding="utf-8")
    settings = load_settings({"WEBHOOK_KEY_A1_FILE": str(tmp_path / "a1")})
    add(tables, settings, "desk", "https://example.org/", "a1", ("score",), (), NOW)
    assert subscription(tables, "desk").keys(settings, NOW)["a1"].reveal() == KEYS["a1"]


def test_history_of_webhooks_cannot_be_changed(tables: Tables, settings: Settings, receiver: Loopback) -> None:
    subscribe(tables, settings, receiver)
    with pytest.raises(Exception, match="append-only"):
        tables.execute("update ops.webhooks set address = 'x'")
