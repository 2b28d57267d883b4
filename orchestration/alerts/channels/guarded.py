"""A way out that leads to public addresses only: whoever subscribes must not reach what only this machine can reach.

The name is looked up once, all of its addresses are judged, and the connection goes to one of those: an answer that
changes between looking and connecting changes nothing. The certificate is still that of the name.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable

import httpx

from orchestration.sources.egress import Egress, proxy_for

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], list[str]]

_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # public to look at, and leads to any IPv4 address


class RefusedAddress(httpx.ConnectError):
    """The name leads to an address that is not public."""


def is_public(address: Address) -> bool:
    """Whether an address is one of the open internet (not loopback, private, link-local, multicast, reserved)."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in _NAT64 or address.sixtofour is not None or address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast


def look_up(host: str, port: int) -> list[str]:
    """All addresses of a name. Raises OSError."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class Guarded(httpx.BaseTransport):
    """`may_be_private`: every address will do. Through a proxy the name is judged here and looked up again there."""

    def __init__(self, may_be_private: bool, inner: Egress | None = None, resolve: Resolve = look_up) -> None:
        self._may_be_private, self._inner, self._resolve = may_be_private, inner or Egress(), resolve

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self._may_be_private:
            return self._inner.handle_request(request)
        host, port = request.url.host, request.url.port or {"https": 443}.get(request.url.scheme, 80)
        try:
            addresses = self._resolve(host, port)
        except (OSError, UnicodeError):
            raise httpx.ConnectError("the name is not known") from None
        if not addresses or not all(is_public(ipaddress.ip_address(a.partition("%")[0])) for a in addresses):
            raise RefusedAddress("not a public address")
        if proxy_for(request.url.scheme, host) is not None:
            return self._inner.handle_request(request)
        pinned = httpx.Request(
            request.method,
            request.url.copy_with(host=addresses[0]),
            headers=request.headers,  # with the Host of the name
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": host},
        )
        return self._inner.directly(pinned)

    def close(self) -> None:
        self._inner.close()
