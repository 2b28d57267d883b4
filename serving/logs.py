"""Log lines of the API process: one handler, the schema of `models.contracts.log_lines`, also for the server's own."""

from __future__ import annotations

import logging
import sys
from urllib.parse import unquote, urlsplit

from models.contracts.log_lines import LineFormatter
from models.contracts.scrub import scrubber_of
from serving.settings import ServingSettings

_SERVERS = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")


def configure(settings: ServingSettings) -> None:
    """Send every line of this process to stderr. The server's own lines follow; its access log is switched off, as ours
    knows route and request id."""
    password = urlsplit(settings.database_url).password
    handler = logging.StreamHandler(sys.stderr)
    scrub = scrubber_of([unquote(password)] if password else [])
    handler.setFormatter(LineFormatter("api", settings.log.format, scrub))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log.level.upper())
    for name in _SERVERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = name != "uvicorn.access"
