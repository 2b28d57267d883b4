"""Processes on this machine: ours by a mark in their environment, whoever holds a port, ending a whole tree.

Here: finding and ending. What is started is `services`, who watches is `supervisor`.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from pathlib import Path

import psutil

STACK_MARKER = "BALLAST_STACK"  # every process below a supervisor carries it: how `down` finds what is left

_GONE = (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess)


def marked(workspace: Path) -> list[psutil.Process]:
    """Living processes that carry the mark of this workspace, run workers and orphans included, never ourselves."""
    mark, this, found = str(workspace), psutil.Process().pid, []
    for process in psutil.process_iter():
        if process.pid == this:
            continue
        try:
            if process.environ().get(STACK_MARKER) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except _GONE:
            continue
    return found


def end(processes: Iterable[psutil.Process], patience_s: float) -> list[psutil.Process]:
    """Ask politely, then insist. Returns what is still alive (nothing, unless the kernel holds it)."""
    waiting = list(processes)
    for process in waiting:
        _signal(process, "terminate")
    _, alive = psutil.wait_procs(waiting, timeout=patience_s)
    for process in alive:
        _signal(process, "kill")
    _, alive = psutil.wait_procs(alive, timeout=5)
    return list(alive)


def _signal(process: psutil.Process, how: str) -> None:
    try:
        getattr(process, how)()
    except _GONE:
        return


def family(pid: int) -> list[psutil.Process]:
    """A process and everything below it; empty when it is gone."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except _GONE:
        return []


def port_is_free(host: str, port: int) -> bool:
    """True when we could listen there now. A privileged port counts as taken: we could not use it either."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections in TIME_WAIT do not count
        try:
            probe.bind((host, port))
            probe.listen(1)  # two sockets may bind with SO_REUSEADDR on some systems, only one may listen
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def port_owner(port: int) -> str | None:
    """`python (pid 4711)` for the process that listens there, None when the system does not tell us."""
    try:
        connections = psutil.net_connections("tcp")
    except _GONE:
        return None
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
            if connection.pid is None:
                return None
            try:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
            except _GONE:
                return None
    return None
