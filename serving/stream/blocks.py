"""Events as text of Server-Sent Events (WHATWG HTML, section 9.2). Pure."""

from __future__ import annotations

import json
from typing import Any

from models.events.feed import Event, document
from models.events.position import Position

RETRY_MS = 3_000  # after which a reader that was cut off comes back


def opening(position: Position | None) -> bytes:
    """What every stream begins with. `position`: where a reader begins who names no event; it can come back from there
    before anything has happened."""
    begins = f"id: {position}\n" if position is not None else ""
    return f": new scores, decisions and alerts\nretry: {RETRY_MS}\n{begins}\n".encode()


def heartbeat(position: Position) -> bytes:
    """A comment, and how far the reader has come: what it did not ask for counts as read when it is back."""
    return f": here\nid: {position}\n\n".encode()


def reset(position: Position) -> bytes:
    """The reader has been away for too long: it reads what stands, and goes on from here."""
    told = {"reason": "the event of Last-Event-ID is not kept any more", "link": "/v1/risk/current"}
    return f"event: reset\nid: {position}\ndata: {_json(told)}\n\n".encode()


def block(event: Event) -> bytes:
    return f"event: {event.type}\nid: {event.position}\ndata: {_json(document(event))}\n\n".encode()


def _json(told: dict[str, Any]) -> str:
    return json.dumps(told, separators=(",", ":"))  # ASCII, so that no text of others can end a line
