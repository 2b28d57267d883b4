"""Errors of the devnet's JSON-RPC, with the codes of the standard."""

from __future__ import annotations

INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, INTERNAL = -32600, -32601, -32602, -32603


class RpcError(Exception):
    """Becomes a JSON-RPC error object."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
