"""Channels against servers of this machine: what arrives, what is tried again, what is told of a failure."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from keeper.alerts.alert import Severity
from orchestration.alerts.channels.bounded import send_in_time
from orchestration.alerts.channels.http_post import SecretPost
from orchestration.alerts.channels.interface import Channel, ChannelError, Message
from orchestration.alerts.channels.log import LOGGER, LogChannel
from orchestration.alerts.channels.smtp import MailServer, SmtpChannel
from orchestration.alerts.channels.telegram import TelegramChannel
from orchestration.alerts.channels.webhook import WebhookChannel
from orchestration.settings import Secret
from tests.orchestration.alerts.smtp_stub import MailStub, mail_server
from tests.orchestration.sources.loopback import Asked, Canned, Loopback, serving

PLANTED = "T0PLANTED/B0PLANTED/plantedplantedplanted"
MESSAGE = Message(
    "[CRITICAL] vault <mixed> & more",
    "line one\n<!channel> @everyone",
    Severity.CRITICAL,
    False,
    {"name": "role_moved"},
)


def post(server: Loopback, slept: list[float] | None = None, timeout_s: float = 5.0) -> SecretPost:
    pauses = [] if slept is None else slept
    return SecretPost(Secret(f"{server.url}/hook/{PLANTED}"), timeout_s=timeout_s, sleep=pauses.append)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("webhook", {"title": MESSAGE.title, "text": MESSAGE.body, "name": "role_moved"}),
        (
            "slack",
            {
                "text": "[CRITICAL] vault &lt;mixed&gt; &amp; more",
                "attachments": [{"color": "#c62828", "text": "line one\n&lt;!channel&gt; @everyone", "mrkdwn_in": []}],
            },
        ),
        (
            "discord",
            {
                "content": MESSAGE.title,
                "embeds": [{"description": MESSAGE.body, "color": 0xC62828}],
                "allowed_mentions": {"parse": []},
            },
        ),
    ],
)
def test_the_form_that_each_webhook_understands(name: str, body: dict[str, Any]) -> None:
    with serving(Canned("ok")) as server:
        WebhookChannel(name, post(server)).send(MESSAGE)
    asked = server.asked[0]
    assert (asked.method, asked.path, asked.body) == ("POST", f"/hook/{PLANTED}", body)
    assert asked.headers["host"] == server.url.removeprefix("http://")


def test_long_texts_are_cut_to_what_is_allowed() -> None:
    long = Message("t" * 9000, "b" * 9000, Severity.INFO, True, {})
    with serving(Canned({"ok": True})) as server:
        WebhookChannel("discord", post(server)).send(long)
        WebhookChannel("slack", post(server)).send(long)
        TelegramChannel(Secret("7:a"), "-1", server.url).send(long)
    discord, slack, telegram = (asked.body for asked in server.asked)
    assert (len(discord["content"]), len(discord["embeds"][0]["description"])) == (2000, 4096)
    assert (len(slack["text"]), len(slack["attachments"][0]["text"])) == (3000, 3000)
    assert len(telegram["text"]) == 4096


def test_telegram_posts_to_its_bot() -> None:
    with serving(Canned({"ok": True})) as server:
        TelegramChannel(Secret("7:planted"), "-100", server.url).send(MESSAGE)
    assert server.asked[0].path == "/bot7:planted/sendMessage"
    assert (server.asked[0].body["chat_id"], "parse_mode" in server.asked[0].body) == ("-100", False)


@pytest.mark.parametrize("answer", [Canned({"ok": False}), Canned("<html>"), Canned([1])])
def test_telegram_must_say_that_it_took_the_message(answer: Canned) -> None:
    with serving(answer) as server, pytest.raises(ChannelError, match="the answer says no"):
        TelegramChannel(Secret("7:planted"), "-100", server.url).send(MESSAGE)
    assert len(server.asked) == 1


def script(*answers: Canned) -> Callable[[Asked], Canned]:
    rest = list(answers)
    return lambda _: rest.pop(0) if len(rest) > 1 else rest[0]


@pytest.mark.parametrize(
    ("answers", "asked", "slept", "told"),
    [
        pytest.param((Canned("", 204),), 1, [], None, id="taken"),
        pytest.param((Canned("", 500), Canned("ok")), 2, [0.5], None, id="once-broken"),
        pytest.param((Canned("", 503),), 3, [0.5, 1.0], "HTTP 503", id="broken"),
        pytest.param((Canned("", 429, {"retry-after": "2"}), Canned("ok")), 2, [2.0], None, id="asked-to-wait"),
        pytest.param((Canned("", 429, {"retry-after": "3600"}),), 3, [3.0, 3.0], "HTTP 429", id="no-such-patience"),
        pytest.param((Canned("", 404),), 1, [], "HTTP 404: refused", id="no-such-hook"),
        pytest.param(
            (Canned("", 302, {"location": "http://127.0.0.1:1/elsewhere"}),), 1, [], "redirects are not", id="moved"
        ),
    ],
)
def test_answers_and_what_follows(
    answers: tuple[Canned, ...], asked: int, slept: list[float], told: str | None
) -> None:
    pauses: list[float] = []
    with serving(script(*answers)) as server:
        if told is None:
            post(server, pauses).post({})
        else:
            with pytest.raises(ChannelError, match=told):
                post(server, pauses).post({})
    assert (len(server.asked), pauses) == (asked, slept)


def test_a_server_that_hangs_is_left_in_time() -> None:
    with serving(Canned(hang=True)) as server, pytest.raises(ChannelError, match="no answer in time"):
        post(server, timeout_s=0.1).post({})
    assert len(server.asked) == 3


class Dripping:
    """A server that sends a header byte by byte, each of them in time, until the test ends."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nx: ")
            while not self._over.wait(0.02):
                connection.sendall(b"x")

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self._listener.close()


def test_a_server_that_drips_is_left_in_time() -> None:
    server = Dripping()
    try:
        channel = WebhookChannel("webhook", SecretPost(Secret(server.url), timeout_s=30.0, sleep=lambda _: None))
        with pytest.raises(ChannelError, match="no end within"):
            send_in_time(channel, MESSAGE, 0.3)
    finally:
        server.close()


@pytest.mark.parametrize("error", [None, ChannelError("HTTP 500"), ValueError("a defect")])
def test_what_a_channel_raises_arrives(error: Exception | None) -> None:
    class Ear(Channel):
        name = "webhook"

        def send(self, message: Message) -> None:
            if error is not None:
                raise error

    if error is None:
        send_in_time(Ear(), MESSAGE)
        return
    with pytest.raises(type(error)) as caught:
        send_in_time(Ear(), MESSAGE)
    assert caught.value is error


def test_nobody_listens() -> None:
    with serving(Canned()) as server:
        gone = post(server)
    with pytest.raises(ChannelError, match="cannot connect"):
        gone.post({})


def failing(kind: str, server: Loopback) -> Channel:
    if kind == "telegram":
        return TelegramChannel(Secret(PLANTED.replace("/", "")), "1", server.url, 0.1, lambda _: None)
    return WebhookChannel(kind, post(server, timeout_s=0.1))


@pytest.mark.parametrize("kind", ["webhook", "slack", "discord", "telegram"])
@pytest.mark.parametrize(
    "answer",
    [
        Canned("ok"),
        Canned(f"you sent {PLANTED}", 500),
        Canned(f"you sent {PLANTED}", 403),
        Canned("", 307, {"location": f"https://elsewhere.invalid/{PLANTED}"}),
        Canned(hang=True),
    ],
    ids=["taken", "500", "403", "moved", "hangs"],
)
def test_no_log_and_no_error_holds_the_address(kind: str, answer: Canned, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    told: list[object] = []
    with serving(answer) as server:
        channel = failing(kind, server)
        try:
            channel.send(MESSAGE)
        except ChannelError as error:
            told = [error, error.__cause__, error.__context__]
    assert told[1:] == [None] * len(told[1:])
    assert "planted" not in f"{told} {caplog.text} {channel!r} {vars(channel)}".lower()


def mail_channel(stub: MailStub, user: str | None = "ada", timeout_s: float = 5.0) -> SmtpChannel:
    server = MailServer("127.0.0.1", stub.port, "none", user, Secret(PLANTED) if user else None)
    return SmtpChannel(server, "ballast@example.org", ["a@example.org", "b@example.org"], timeout_s)


def test_a_mail_arrives_with_everything_in_it() -> None:
    with mail_server() as stub:
        mail_channel(stub).send(MESSAGE)
    mail = stub.mails[0]
    assert stub.logins == [f"\0ada\0{PLANTED}"]
    assert stub.recipients == ["a@example.org", "b@example.org"]
    assert (mail["Subject"], mail["To"]) == (MESSAGE.title, "a@example.org, b@example.org")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content().replace("\r\n", "\n") == f"{MESSAGE.title}\n\n{MESSAGE.body}\n"


def test_a_title_cannot_add_a_header() -> None:
    sly = Message("one\r\nBcc: eve@example.org", "b", Severity.INFO, False, {})
    with mail_server() as stub:
        mail_channel(stub, None).send(sly)
    assert (stub.mails[0]["Subject"], stub.mails[0]["Bcc"]) == ("one Bcc: eve@example.org", None)
    assert stub.recipients == ["a@example.org", "b@example.org"]


@pytest.mark.parametrize(
    ("refuse", "told"),
    [
        ({"AUTH": f"535 not {PLANTED}"}, r"refuses user and password \(SMTP 535\)"),
        ({"RCPT": "550 nobody"}, "refuses every recipient"),
        ({"MAIL": "451 later"}, r"refuses \(SMTP 451\)"),
        ({"DATA": "554 no"}, r"refuses \(SMTP 554\)"),
        ({"MAIL": "drop"}, "hung up"),
        ({"CONNECT": "554 go away"}, r"refuses \(SMTP 554\)"),
        ({"CONNECT": "hang"}, "no answer in time"),
    ],
)
def test_a_mail_server_that_refuses(refuse: dict[str, str], told: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with mail_server(**refuse) as stub, pytest.raises(ChannelError, match=told) as caught:
        mail_channel(stub, timeout_s=0.2).send(MESSAGE)
    assert caught.value.__context__ is None
    assert PLANTED not in f"{caught.value} {caplog.text}"


def test_starttls_is_no_wish(caplog: pytest.LogCaptureFixture) -> None:
    with mail_server() as stub:
        server = MailServer("127.0.0.1", stub.port, "starttls", "ada", Secret(PLANTED))
        with pytest.raises(ChannelError, match="SMTPNotSupportedError"):
            SmtpChannel(server, "a@example.org", ["b@example.org"]).send(MESSAGE)
    assert stub.logins == []


@pytest.mark.parametrize(
    ("severity", "over", "level"),
    [
        (Severity.CRITICAL, False, logging.ERROR),
        (Severity.WARNING, False, logging.WARNING),
        (Severity.CRITICAL, True, logging.INFO),
    ],
)
def test_the_log_is_a_channel(severity: Severity, over: bool, level: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    LogChannel().send(Message("t\n", "a\nb", severity, over, {}))
    assert [(r.name, r.levelno, r.getMessage()) for r in caplog.records] == [(LOGGER, level, "t | a | b")]
