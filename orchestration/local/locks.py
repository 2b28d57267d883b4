"""Locks between processes of one machine. The kernel drops them with the process, so none can go stale."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Busy(RuntimeError):
    """Another process holds the lock; the message says which command that is and what to do."""


def is_held(path: Path) -> bool:
    """True while some process holds the lock. Does not create the file."""
    if not path.is_file():
        return False
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return True
        raise
    finally:
        os.close(descriptor)
    return False


@contextmanager
def hold(path: Path, message: str) -> Iterator[None]:
    """Hold the lock for the length of the block. Raises Busy(message) when another process has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)  # closed on exec: children never inherit the lock
    try:
        _take(descriptor, message)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, message: str) -> None:
    for last in (False, False, False, False, True):  # `is_held` holds it for an instant
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            if last:
                raise Busy(message) from error
        time.sleep(0.02)
