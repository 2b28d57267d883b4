"""Telegram: sendMessage of a bot, as plain text. The token is part of the address, so the address is a secret."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from orchestration.alerts.channels.http_post import TIMEOUT_S, SecretPost
from orchestration.alerts.channels.interface import Channel, Message, cut
from orchestration.settings import Secret

BASE_URL = "https://api.telegram.org"
_LENGTH = 4096


class TelegramChannel(Channel):
    name = "telegram"

    def __init__(
        self,
        token: Secret,
        chat: str,
        base_url: str = BASE_URL,
        timeout_s: float = TIMEOUT_S,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        address = Secret(f"{base_url.rstrip('/')}/bot{token.reveal()}/sendMessage")
        self._post = SecretPost(address, timeout_s=timeout_s, sleep=sleep, accepted=_is_ok)
        self._chat = chat

    def send(self, message: Message) -> None:
        text = cut(f"{message.title}\n{message.body}", _LENGTH)
        self._post.post({"chat_id": self._chat, "text": text, "disable_web_page_preview": True})


def _is_ok(body: str) -> bool:
    try:
        answer = json.loads(body)
    except ValueError:
        return False
    return isinstance(answer, dict) and answer.get("ok") is True
