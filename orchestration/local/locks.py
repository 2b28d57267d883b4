"""Locks between processes of one machine. The kernel drops them with the process, so none can go stale."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TRIES = 5
_PAUSE_S = 0.02


class Busy(RuntimeError):
    """Another process holds the lock; the message says which command that is and what to do."""


def is_held(path: Path) -> bool:
    """True while some process holds the lock. Does not create the file."""
    try:
        descriptor = os.open(path, os.O_RDONLY)  # to look needs no right to write
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        return not _try_lock(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def hold(path: Path, message: str) -> Iterator[None]:
    """Hold the lock for the length of the block; the file goes with it. Raises Busy(message) when it is taken."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _take(path, message)
    try:
        yield
    finally:
        with suppress(OSError):  # on a disk that became read-only the file stays: it locks nothing by itself
            path.unlink(missing_ok=True)  # while the lock is still ours
        os.close(descriptor)


def _take(path: Path, message: str) -> int:
    for _ in range(_TRIES):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)  # closed on exec: children never inherit the lock
        # The last holder may have removed the file between our two calls: what we hold then has no name any more.
        if _try_lock(descriptor) and _is_at(path, descriptor):
            return descriptor
        os.close(descriptor)
        time.sleep(_PAUSE_S)  # `is_held` holds it for an instant
    raise Busy(message)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
