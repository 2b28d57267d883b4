"""Webhooks: our own JSON document, or the form that Slack or Discord understands.

Slack: {"text", "attachments"} of an incoming webhook; Discord: {"content", "embeds"}. Texts are escaped and mentions
switched off, so that no name from a market or a chain can ring a whole channel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from keeper.alerts.alert import Severity
from orchestration.alerts.channels.http_post import SecretPost
from orchestration.alerts.channels.interface import Channel, Message, cut

_RED, _AMBER, _BLUE, _GREEN = 0xC62828, 0xF9A825, 0x1565C0, 0x2E7D32
_COLOURS = {Severity.CRITICAL: _RED, Severity.WARNING: _AMBER, Severity.INFO: _BLUE}
_SLACK_TEXT = 3000
_DISCORD_CONTENT, _DISCORD_EMBED = 2000, 4096


def generic(message: Message) -> dict[str, Any]:
    """Everything that is known of it, as data."""
    return {"title": message.title, "text": message.body, **message.document}


def slack(message: Message) -> dict[str, Any]:
    title, body = _escaped(message.title), _escaped(message.body)
    attachment = {"color": f"#{_colour(message):06x}", "text": cut(body, _SLACK_TEXT), "mrkdwn_in": []}
    return {"text": cut(title, _SLACK_TEXT), "attachments": [attachment]}


def discord(message: Message) -> dict[str, Any]:
    return {
        "content": cut(message.title, _DISCORD_CONTENT),
        "embeds": [{"description": cut(message.body, _DISCORD_EMBED), "color": _colour(message)}],
        "allowed_mentions": {"parse": []},
    }


FORMS: Mapping[str, Callable[[Message], dict[str, Any]]] = {"webhook": generic, "slack": slack, "discord": discord}


class WebhookChannel(Channel):
    """`name` chooses the form: webhook, slack or discord."""

    def __init__(self, name: str, post: SecretPost) -> None:
        self.name, self._form, self._post = name, FORMS[name], post

    def send(self, message: Message) -> None:
        self._post.post(self._form(message))


def _colour(message: Message) -> int:
    return _GREEN if message.is_recovery else _COLOURS[message.severity]


def _escaped(text: str) -> str:
    """Slack's three control characters; `<!channel>` is then only text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
