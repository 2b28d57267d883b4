"""The way out of this machine: certificates that are trusted, and the proxy that the environment names."""

from __future__ import annotations

import ssl
from functools import cache
from urllib.request import getproxies, proxy_bypass

import httpx


@cache
def _trusted() -> ssl.SSLContext:
    """Reading the certificates takes longer (50 ms) than most requests."""
    return httpx.create_ssl_context()


def proxy_for(scheme: str, host: str) -> str | None:
    """The proxy that HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY name for a host; this machine needs none."""
    if host in ("localhost", "127.0.0.1", "::1") or proxy_bypass(host):
        return None
    named = getproxies()
    proxy = named.get(scheme) or named.get("all")
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


class Egress(httpx.BaseTransport):
    """Straight to the provider, or through the proxy of the environment: the client asks for none by itself, because
    it is given a transport."""

    def __init__(self) -> None:
        self._by_proxy: dict[str | None, httpx.HTTPTransport] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._through(proxy_for(request.url.scheme, request.url.host), request)

    def directly(self, request: httpx.Request) -> httpx.Response:
        """Through no proxy, whatever the environment says."""
        return self._through(None, request)

    def _through(self, proxy: str | None, request: httpx.Request) -> httpx.Response:
        if proxy not in self._by_proxy:
            if proxy and not proxy.lower().startswith(("http://", "https://")):
                raise httpx.ProxyError("only http(s) proxies are understood")  # its address may hold a password
            self._by_proxy[proxy] = httpx.HTTPTransport(verify=_trusted(), proxy=proxy)
        return self._by_proxy[proxy].handle_request(request)

    def close(self) -> None:
        for transport in self._by_proxy.values():
            transport.close()
