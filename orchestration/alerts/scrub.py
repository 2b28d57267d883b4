"""Taking the secrets of the settings out of texts before they are stored, sent or logged."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from urllib.parse import unquote, urlsplit

from models.contracts.scrub import scrubber_of
from orchestration.settings import Secret, Settings


def scrubber(secrets: Iterable[Secret]) -> Callable[[str], str]:
    """As `models.contracts.scrub.scrubber_of`."""
    return scrubber_of(secret.reveal() for secret in secrets)


def scrubber_for(settings: Settings) -> Callable[[str], str]:
    """For every key of these settings and the password of the database."""
    password = urlsplit(settings.database_url or "").password
    return scrubber([*settings.secrets.values(), *([Secret(unquote(password))] if password else [])])
