"""Which channels there are, from settings that are checked at once. Messages name the variable, never a value of a key.

Channels are chosen by BALLAST_ALERT_CHANNELS (default: log). A key comes as NAME or as a file, NAME_FILE.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import urlsplit

from keeper.alerts.alert import Severity
from keeper.alerts.storm import LEAST_AN_HOUR
from orchestration.alerts.channels.http_post import TIMEOUT_S, SecretPost
from orchestration.alerts.channels.interface import Channel
from orchestration.alerts.channels.log import LogChannel
from orchestration.alerts.channels.smtp import MailServer, SmtpChannel
from orchestration.alerts.channels.telegram import BASE_URL, TelegramChannel
from orchestration.alerts.channels.webhook import WebhookChannel
from orchestration.settings import Secret, Settings, SettingsError

NAMES = ("log", "webhook", "slack", "discord", "smtp", "telegram")
_P = "BALLAST_ALERT_"
_ADDRESS_OF = {"webhook": "ALERT_WEBHOOK_URL", "slack": "ALERT_SLACK_URL", "discord": "ALERT_DISCORD_URL"}
_SECURITY_PORT = {"starttls": 587, "tls": 465, "none": 25}
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
DEFAULT_AN_HOUR = 20  # a person reads no more; the rest is in the summaries


@dataclass(frozen=True, slots=True)
class AlertConfig:
    """`channels` in the order of BALLAST_ALERT_CHANNELS. Alerts below `least` reach no channel, only the table."""

    channels: tuple[Channel, ...]
    least: Severity
    an_hour: int

    def channel(self, name: str) -> Channel:
        """Raises SettingsError for a channel that is not in use."""
        for channel in self.channels:
            if channel.name == name:
                return channel
        raise SettingsError(f"{_P}CHANNELS: {name} is not in use; it names {_names(self.channels)}")


LOG_ALONE = AlertConfig((LogChannel(),), Severity.INFO, DEFAULT_AN_HOUR)


def alert_config(
    settings: Settings, timeout_s: float = TIMEOUT_S, sleep: Callable[[float], None] = time.sleep
) -> AlertConfig:
    """Build the channels. Raises SettingsError naming the first variable that is missing or wrong."""
    options = settings.alert_options
    wanted = [part.strip() for part in options.get(f"{_P}CHANNELS", "log").split(",") if part.strip()]
    for name in wanted:
        if name not in NAMES:
            near = difflib.get_close_matches(name, NAMES, 1)
            _refuse("CHANNELS", f"{name!r} is no channel" + (f"; did you mean {near[0]}?" if near else ""))
    severity = options.get(f"{_P}MIN_SEVERITY", Severity.INFO.value)
    if severity not in list(Severity):
        _refuse("MIN_SEVERITY", f"{severity!r} is not {', '.join(Severity)}")
    return AlertConfig(
        channels=tuple(_channel(name, settings, timeout_s, sleep) for name in dict.fromkeys(wanted)),
        least=Severity(severity),
        an_hour=_whole(options, "MAX_PER_HOUR", DEFAULT_AN_HOUR, LEAST_AN_HOUR, 1000),
    )


def _channel(name: str, settings: Settings, timeout_s: float, sleep: Callable[[float], None]) -> Channel:
    if name == "log":
        return LogChannel()
    if name in _ADDRESS_OF:
        address = _secret(settings, _ADDRESS_OF[name], name)
        _check_address(_ADDRESS_OF[name], address.reveal())
        return WebhookChannel(name, SecretPost(address, timeout_s=timeout_s, sleep=sleep))
    if name == "telegram":
        token = _secret(settings, "ALERT_TELEGRAM_TOKEN", name)
        base = settings.alert_options.get(f"{_P}TELEGRAM_URL", BASE_URL)
        _check_address(f"{_P}TELEGRAM_URL", base)
        if any(character.isspace() or character in "/?#" for character in token.reveal()):
            raise SettingsError("ALERT_TELEGRAM_TOKEN: holds characters that no token has")
        return TelegramChannel(token, _needed(settings, "TELEGRAM_CHAT", name), base, timeout_s, sleep)
    return _mail(settings)


def _mail(settings: Settings) -> SmtpChannel:
    options = settings.alert_options
    security = options.get(f"{_P}SMTP_SECURITY", "starttls")
    if security not in _SECURITY_PORT:
        _refuse("SMTP_SECURITY", f"{security!r} is not {', '.join(_SECURITY_PORT)}")
    host, user = _needed(settings, "SMTP_HOST", "smtp"), options.get(f"{_P}SMTP_USER")
    password = _secret(settings, "ALERT_SMTP_PASSWORD", "smtp") if user else None
    if security == "none" and user and host not in _THIS_MACHINE:
        _refuse("SMTP_SECURITY", "none would send the password in clear; use starttls or tls")
    server = MailServer(
        host, _whole(options, "SMTP_PORT", _SECURITY_PORT[security], 1, 65535), security, user, password
    )
    recipients = [part.strip() for part in _needed(settings, "SMTP_TO", "smtp").split(",") if part.strip()]
    sender = _needed(settings, "SMTP_FROM", "smtp").strip()
    for variable, addresses in (("SMTP_FROM", [sender]), ("SMTP_TO", recipients)):
        if not addresses or any("@" not in each or any(c.isspace() for c in each) for each in addresses):
            _refuse(variable, "is no address of the form name@host")
    return SmtpChannel(server, sender, recipients)


def _check_address(variable: str, address: str) -> None:
    """Whether a secret address can be used, told without quoting it."""
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or any(character.isspace() for character in address):
        raise SettingsError(f"{variable}: is no http(s) address")
    if parts.scheme == "http" and parts.hostname not in _THIS_MACHINE:
        raise SettingsError(f"{variable}: would be sent in clear; use https")


def _secret(settings: Settings, variable: str, channel: str) -> Secret:
    if variable not in settings.secrets:
        raise SettingsError(f"{variable}: channel {channel} needs it, or {variable}_FILE with the path of a file")
    return settings.secrets[variable]


def _needed(settings: Settings, name: str, channel: str) -> str:
    value = settings.alert_options.get(f"{_P}{name}")
    return value if value else _refuse(name, f"channel {channel} needs it")


def _whole(options: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = options.get(f"{_P}{name}", str(default))
    if not (text.isascii() and text.isdigit()):
        _refuse(name, f"{text!r} is not a whole number")
    if not low <= int(text) <= high:
        _refuse(name, f"{text} is outside {low} to {high}")
    return int(text)


def _refuse(name: str, why: str) -> NoReturn:
    raise SettingsError(f"{_P}{name}: {why}")


def _names(channels: tuple[Channel, ...]) -> str:
    return ", ".join(channel.name for channel in channels) or "none"
