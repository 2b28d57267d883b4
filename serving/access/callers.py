"""Who asks, as far as the API knows: what a request carries, and whom it turned out to be."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from models.access.keys import Scope
from serving.errors import Problem

MOST_CREDENTIAL = 8_192  # characters: tokens of the large providers have some 4,000
PUBLIC = "public"


@dataclass(frozen=True, slots=True)
class Caller:
    """`name`: as the audit log says it. `ends_at`: from when on the credential opens nothing."""

    name: str
    scopes: frozenset[Scope]
    per_minute: int | None = None  # None: as many as the server gives
    ends_at: datetime | None = None


@dataclass(slots=True)
class Passage:
    """What was found out about one request, kept in its scope for those who answer, count and write it down.

    An object and not fields of the scope: layers copy the scope, and what the inner ones learn is needed outside."""

    with_credential: bool = False
    caller: Caller | None = None
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    audited: Scope | None = None  # the scope of a call that was written down and has no answer yet


PASSAGE = "ballast.passage"


class Unauthenticated(Problem):
    """401. Says the same whatever is wrong with a credential: which part was right is nobody's business."""

    def __init__(self, presented: bool) -> None:
        detail = (
            "The API key or token does not open this: it is unknown, expired, revoked or badly written."
            if presented
            else "Send a key (`Authorization: Bearer ballast_...` or `X-API-Key`); `ballast keys create` makes one."
        )
        super().__init__(401, "invalid_credentials" if presented else "no_credentials", "Who asks is not known", detail)
        self.headers = {"WWW-Authenticate": 'Bearer realm="ballast"' + (', error="invalid_token"' if presented else "")}


class Forbidden(Problem):
    """403: known, and may not."""

    def __init__(self, needed: Scope) -> None:
        super().__init__(
            403, "insufficient_scope", "This key may not do that",
            f"The scope {needed.value!r} is needed, and this key or token does not have it.", {"scope": needed.value},
        )  # fmt: skip
        self.headers = {
            "WWW-Authenticate": f'Bearer realm="ballast", error="insufficient_scope", scope="{needed.value}"'
        }


def presented(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The key or token of a request; None without one. Raises Unauthenticated where there are several or it is none.

    Keys in addresses are never read: they would stand in the logs of every proxy."""
    found = []
    for name, value in headers:
        if name == b"authorization":
            scheme, _, rest = value.decode("latin-1").partition(" ")
            found.append(rest.strip() if scheme.lower() == "bearer" else "")
        elif name == b"x-api-key":
            found.append(value.decode("latin-1").strip())
    if not found:
        return None
    if len(found) > 1 or not found[0] or len(found[0]) > MOST_CREDENTIAL or not found[0].isascii():
        raise Unauthenticated(True)
    return found[0]


@lru_cache(maxsize=4_096)
def neighbourhood(host: str) -> str:
    """What is counted as one address: an IPv4 address, or the /64 of an IPv6 one, which is what one customer has."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host[:64]
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.IPv6Address(int(address) >> 64 << 64))
    return str(address)
