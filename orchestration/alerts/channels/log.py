"""Alerts as lines of the Python log `ballast.alerts`: always there, needs nothing."""

from __future__ import annotations

import logging

from keeper.alerts.alert import Severity
from orchestration.alerts.channels.interface import Channel, Message

LOGGER = "ballast.alerts"
_LEVELS = {Severity.INFO: logging.INFO, Severity.WARNING: logging.WARNING, Severity.CRITICAL: logging.ERROR}


class LogChannel(Channel):
    name = "log"
    leaves_machine = False

    def send(self, message: Message) -> None:
        level = logging.INFO if message.is_recovery else _LEVELS[message.severity]
        logging.getLogger(LOGGER).log(level, "%s | %s", *_lines(message))


def _lines(message: Message) -> tuple[str, str]:
    """Title and body without line breaks: what others say must not look like lines of ours."""
    return " ".join(message.title.split()), " | ".join(message.body.splitlines())
