"""Signatures of messages: HMAC-SHA256 (RFC 2104) over the time of sending and the body. Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

from orchestration.configuration.values import Secret

HEADER = "Ballast-Signature"
MESSAGE_HEADER = "Ballast-Message-Id"
REPLAY_WINDOW_S = 300  # for receivers: what is older than this is refused, what is newer is remembered by its id


def signature_header(keys: Mapping[str, Secret], at: datetime, body: bytes) -> str:
    """`t=<unix seconds>,<key id>=<hex>,...` with every key that signs now: what is signed is the time, a full stop and
    the body as sent."""
    seconds = int(at.timestamp())
    signed = f"{seconds}.".encode() + body
    made = {name: hmac.new(key.reveal().encode(), signed, hashlib.sha256).hexdigest() for name, key in keys.items()}
    return ",".join([f"t={seconds}", *(f"{name}={digest}" for name, digest in made.items())])
