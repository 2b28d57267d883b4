"""Faults of a network by name, and when they strike: what `Faults` raises or rewrites for each of them.

Faults of the ledger itself (a stall, a jump of the clock, an upgrade, a reset, somebody else's transaction) are
`keeper.devnet.trouble`; replicas that lag are `keeper.devnet.replicas`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from keeper.devnet.transport import ConnectionDropped, Faults, Hanging, Instead


class Kind(StrEnum):
    """What goes wrong with one request."""

    DROP = "drop"
    HANG = "hang"
    HTTP_429 = "http_429"
    HTTP_502 = "http_502"
    HTTP_503 = "http_503"
    HTTP_504 = "http_504"
    HTML = "html"  # a page of some proxy, with HTTP 200
    TRUNCATED = "truncated"
    WRONG_ID = "wrong_id"
    UNKNOWN_STATUS = "unknown_status"
    RPC_ERROR = "rpc_error"


ANY = "*"
HANG_S = 30.0
_PAGE = "<html><body>try again later</body></html>"


@dataclass
class Fault:
    """`kind` strikes `times` requests of `method` (None: all), before the node handles them or `after` it did."""

    kind: Kind
    method: str = ANY
    after: bool = False
    times: int | None = None


class Script(Faults):
    """Faults in order: the first one that fits a request strikes. `struck` counts strikes by kind."""

    def __init__(self, *faults: Fault) -> None:
        self.faults = list(faults)
        self.struck: dict[Kind, int] = {}

    def before(self, method: str) -> None:
        fault = self._next(method, after=False)
        if fault is not None:
            strike(fault.kind, json.dumps({"jsonrpc": "2.0", "id": None, "result": {}}))

    def after(self, method: str, body: str) -> str:
        fault = self._next(method, after=True)
        return body if fault is None else strike(fault.kind, body)

    def _next(self, method: str, after: bool) -> Fault | None:
        for fault in self.faults:
            # What rewrites an answer needs one, so it strikes after the request was handled.
            late = fault.after or fault.kind in _REWRITES
            if fault.method in (ANY, method) and late == after and fault.times != 0:
                fault.times = None if fault.times is None else fault.times - 1
                self.struck[fault.kind] = self.struck.get(fault.kind, 0) + 1
                return fault
        return None


def strike(kind: Kind, body: str) -> str:
    """Raise what `kind` is, or return what it makes of an answer's text."""
    if kind is Kind.DROP:
        raise ConnectionDropped
    if kind is Kind.HANG:
        raise Hanging(HANG_S)
    if kind is Kind.HTML:
        raise Instead(200, _PAGE)
    if kind in _REWRITES:
        return _REWRITES[kind](body)
    raise Instead(int(kind.removeprefix("http_")), _PAGE)


def _changed(body: str, **changes: Any) -> str:
    return json.dumps({**json.loads(body), **changes})


def _unknown_status(body: str) -> str:
    found = json.loads(body)
    if isinstance(found.get("result"), dict):
        found["result"]["status"] = "PERHAPS"
    return json.dumps(found)


def _rpc_error(body: str) -> str:
    found = json.loads(body)
    return json.dumps({"jsonrpc": "2.0", "id": found.get("id"), "error": {"code": -32603, "message": "internal error"}})


_REWRITES: dict[Kind, Callable[[str], str]] = {
    Kind.TRUNCATED: lambda body: body[: len(body) // 2],
    Kind.WRONG_ID: lambda body: _changed(body, id="another question"),
    Kind.UNKNOWN_STATUS: _unknown_status,
    Kind.RPC_ERROR: _rpc_error,
}
