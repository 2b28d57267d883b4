"""Channels from settings: a table of slips, each told by the name of its variable and never by its value."""

from __future__ import annotations

import pytest

from keeper.alerts.alert import Severity
from orchestration.alerts.channels.smtp import SmtpChannel
from orchestration.alerts.config import AlertConfig, alert_config
from orchestration.settings import SettingsError, load_settings

HOOK = "https://hooks.example.org/planted"
MAIL = {
    "BALLAST_ALERT_CHANNELS": "smtp",
    "BALLAST_ALERT_SMTP_HOST": "mail.example.org",
    "BALLAST_ALERT_SMTP_FROM": "ballast@example.org",
    "BALLAST_ALERT_SMTP_TO": "a@example.org, b@example.org",
}


def made(**variables: str) -> AlertConfig:
    return alert_config(load_settings(variables))


def test_without_a_word_alerts_go_to_the_log() -> None:
    config = made()
    assert ([c.name for c in config.channels], config.least, config.an_hour) == (["log"], Severity.INFO, 20)


def test_all_channels_in_their_order() -> None:
    config = made(
        **MAIL
        | {
            "BALLAST_ALERT_CHANNELS": "telegram, slack,discord,webhook,smtp,log,slack",
            "BALLAST_ALERT_TELEGRAM_CHAT": "-100",
            "BALLAST_ALERT_MIN_SEVERITY": "critical",
            "BALLAST_ALERT_MAX_PER_HOUR": "7",
            "ALERT_TELEGRAM_TOKEN": "7:planted",
            "ALERT_SLACK_URL": HOOK,
            "ALERT_DISCORD_URL": HOOK,
            "ALERT_WEBHOOK_URL": "http://127.0.0.1:1/planted",
        }
    )
    assert [c.name for c in config.channels] == ["telegram", "slack", "discord", "webhook", "smtp", "log"]
    assert (config.least, config.an_hour) == (Severity.CRITICAL, 7)
    assert config.channel("slack").leaves_machine


@pytest.mark.parametrize(("security", "port"), [("starttls", 587), ("tls", 465), ("none", 25)])
def test_the_port_follows_the_security(security: str, port: int) -> None:
    channel = made(**MAIL, BALLAST_ALERT_SMTP_SECURITY=security).channels[0]
    assert isinstance(channel, SmtpChannel)
    assert channel._server.port == port


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"BALLAST_ALERT_CHANNELS": "slak"}, r"BALLAST_ALERT_CHANNELS: 'slak' is no channel; did you mean slack\?"),
        ({"BALLAST_ALERT_CHANNELS": "slack"}, "ALERT_SLACK_URL: channel slack needs it, or ALERT_SLACK_URL_FILE"),
        ({"BALLAST_ALERT_CHANNELS": "slack", "ALERT_SLACK_URL": "planted"}, "ALERT_SLACK_URL: is no http"),
        ({"BALLAST_ALERT_CHANNELS": "slack", "ALERT_SLACK_URL": "https://planted:x/"}, "ALERT_SLACK_URL: is no http"),
        ({"BALLAST_ALERT_CHANNELS": "slack", "ALERT_SLACK_URL": "https://h/pla nted"}, "ALERT_SLACK_URL: is no http"),
        ({"BALLAST_ALERT_CHANNELS": "slack", "ALERT_SLACK_URL": "http://planted.org/"}, "would be sent in clear"),
        ({"BALLAST_ALERT_CHANNELS": "telegram"}, "ALERT_TELEGRAM_TOKEN: channel telegram needs it"),
        ({"BALLAST_ALERT_CHANNELS": "telegram", "ALERT_TELEGRAM_TOKEN": "7:planted"}, "TELEGRAM_CHAT"),
        (
            {"BALLAST_ALERT_CHANNELS": "telegram", "ALERT_TELEGRAM_TOKEN": "planted/../x",
             "BALLAST_ALERT_TELEGRAM_CHAT": "1"},
            "ALERT_TELEGRAM_TOKEN: holds characters",
        ),
        ({"BALLAST_ALERT_CHANNELS": "smtp"}, "BALLAST_ALERT_SMTP_HOST: channel smtp needs it"),
        (MAIL | {"BALLAST_ALERT_SMTP_TO": "nobody"}, "BALLAST_ALERT_SMTP_TO: is no address"),
        (MAIL | {"BALLAST_ALERT_SMTP_FROM": "a@b\nBcc: c@d"}, "BALLAST_ALERT_SMTP_FROM: is no address"),
        (MAIL | {"BALLAST_ALERT_SMTP_USER": "ada"}, "ALERT_SMTP_PASSWORD: channel smtp needs it"),
        (MAIL | {"BALLAST_ALERT_SMTP_SECURITY": "ssl"}, "SMTP_SECURITY: 'ssl' is not starttls, tls, none"),
        (
            MAIL | {"BALLAST_ALERT_SMTP_SECURITY": "none", "BALLAST_ALERT_SMTP_USER": "ada",
                    "ALERT_SMTP_PASSWORD": "planted"},
            "none would send the password in clear",
        ),
        (MAIL | {"BALLAST_ALERT_SMTP_PORT": "x"}, "BALLAST_ALERT_SMTP_PORT: 'x' is not a whole number"),
        ({"BALLAST_ALERT_MAX_PER_HOUR": "6"}, "BALLAST_ALERT_MAX_PER_HOUR: 6 is outside 7 to 1000"),
        ({"BALLAST_ALERT_MIN_SEVERITY": "fatal"}, "BALLAST_ALERT_MIN_SEVERITY: 'fatal' is not info, warning, critical"),
        ({"BALLAST_" + "ALERT_CHANEL": "log"}, "no such setting; did you mean BALLAST_ALERT_CHANNELS"),
    ],
)  # fmt: skip
def test_slips(variables: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError, match=told) as caught:
        made(**variables)
    assert "planted" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_channel_that_is_not_in_use() -> None:
    with pytest.raises(SettingsError, match="smtp is not in use; it names log"):
        made().channel("smtp")
