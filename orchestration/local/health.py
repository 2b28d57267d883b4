"""Is a service ready: one question over loopback with a short time-out. Standard library only, it runs every second."""

from __future__ import annotations

import http.client
import socket

from orchestration.local.services import Service, reachable

_TIMEOUT_S = 2.0


def is_ready(service: Service) -> bool:
    """True when the port is open and, where the service has a probe path, that path answers below 500."""
    if service.port is None:
        return True
    host = reachable(service.host)
    if service.probe is None:
        return _connects(host, service.port)
    connection = http.client.HTTPConnection(host, service.port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", service.probe)
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _connects(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=_TIMEOUT_S):
            return True
    except OSError:
        return False
