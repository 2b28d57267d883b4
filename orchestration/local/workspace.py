"""The server, opened for the length of a command, and whether some stack still needs it afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from orchestration.local import stack
from orchestration.local.database import Databases, ensure_server, workspace_databases
from orchestration.settings import Settings


def running_stacks(settings: Settings) -> list[str]:
    """Names of the workspaces under this state folder whose stack is up."""
    if not settings.state_root.is_dir():
        return []
    return [folder.name for folder in sorted(settings.state_root.iterdir()) if stack.is_running(folder)]


@contextmanager
def opened(settings: Settings, keep_running: bool = False) -> Iterator[Databases]:
    """URLs of this market's databases on a running server.

    An embedded server that nobody else uses is stopped at the end, unless it is to be kept or a stack needs it.
    Raises DatabaseError (one line).
    """
    handle = ensure_server(settings)
    kept = False
    try:
        yield workspace_databases(settings, handle.base_url)
        kept = keep_running
    finally:
        handle.close(keep_running=kept or bool(running_stacks(settings)))
