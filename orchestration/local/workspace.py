"""A workspace for the length of a command: held against other commands, its server opened and given back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from orchestration.local import stack
from orchestration.local.database import Databases, ensure_server, workspace_databases
from orchestration.local.locks import hold, is_held
from orchestration.local.prepare import make_folders
from orchestration.settings import Settings

_LOCK = "run.lock"


@contextmanager
def held(settings: Settings) -> Iterator[None]:
    """The workspace for one `run` or `up` alone, without what a killed one left: its devnet, orphaned services.

    Raises Busy when another command holds it, StateFolderError when the folder cannot be written.
    """
    make_folders(settings)
    with hold(settings.workspace / _LOCK, "another `make run` or `make up` of this market is at work: wait for it"):
        if not stack.is_running(settings.workspace):  # a stack that is up is nobody's leftover
            stack.sweep(settings.workspace)
        yield


def is_busy(settings: Settings) -> bool:
    """Whether a `run` or `up` is at work."""
    return is_held(settings.workspace / _LOCK)


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
