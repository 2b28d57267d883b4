"""What a channel is: a way to put one message before a person. Which message, and when, is decided elsewhere."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keeper.alerts.alert import Severity


class ChannelError(RuntimeError):
    """The message did not arrive, or nobody can tell. One line, without addresses, keys or what the other side said."""


@dataclass(frozen=True, slots=True)
class Message:
    """`title`: one line. `body`: plain text of some lines. `document`: the same as JSON values, for machines."""

    title: str
    body: str
    severity: Severity
    is_recovery: bool
    document: Mapping[str, Any]


class Channel(ABC):
    """`name`: as in BALLAST_ALERT_CHANNELS. `leaves_machine`: it speaks to a network, so it can hang and fail."""

    name: str
    leaves_machine: bool = True

    @abstractmethod
    def send(self, message: Message) -> None:
        """Deliver within some seconds, or raise ChannelError."""


def cut(text: str, length: int) -> str:
    """At most `length` characters, with an ellipsis where something was cut off."""
    return text if len(text) <= length else text[: length - 1] + "…"
