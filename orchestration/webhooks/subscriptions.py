"""Who is told of events: `ops.webhooks`, one row a change; the newest row of a name counts.

The key that signs is never stored: a row names it, and its value is WEBHOOK_KEY_<NAME> or the file of
WEBHOOK_KEY_<NAME>_FILE in the environment of whoever sends.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from models.contracts.tables import OPS_WEBHOOKS
from models.events.feed import TYPES, Event, Feed
from models.events.position import Position
from orchestration.alerts.channels.guarded import is_public
from orchestration.resources.warehouse_tables import Tables
from orchestration.settings import WEBHOOK_KEY_PREFIX, Secret, Settings, SettingsError

OVERLAP = timedelta(hours=24)  # a key that was replaced signs beside the new one for so long
_LEAST_KEY = 32  # characters of a key: 128 bits in hex
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_KEY = re.compile(r"[a-z][a-z0-9_]{0,15}")
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


class WebhookError(ValueError):
    """What was asked of webhooks cannot be done; the message says why, without keys."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """`added_id`: row by which it was added. `begin`: what was there by then is not sent. `series` empty: all."""

    name: str
    added_id: int
    address: str
    types: tuple[str, ...]
    series: tuple[str, ...]
    key_id: str
    old_key_id: str | None
    old_key_until: datetime | None
    begin: Position

    @property
    def place(self) -> str:
        """Where it leads, without the path: that may be a secret of the receiver."""
        parts = urlsplit(self.address)
        return f"{parts.scheme}://{parts.hostname}"

    def wants(self, event: Event) -> bool:
        return event.type in self.types and (not self.series or event.series in self.series)

    def keys(self, settings: Settings, now: datetime) -> dict[str, Secret]:
        """Keys that sign at `now` (wall), by name. Raises SettingsError where the newest is not set."""
        found = {self.key_id: key_of(settings, self.key_id)}
        if self.old_key_id is not None and self.old_key_until is not None and now < self.old_key_until:
            old = settings.secrets.get(_variable(self.old_key_id))
            found |= {self.old_key_id: old} if old is not None else {}
        return found


def key_of(settings: Settings, key_id: str) -> Secret:
    """Raises SettingsError, which names the variable, for a key that is missing or too short."""
    variable = _variable(key_id)
    if variable not in settings.secrets:
        raise SettingsError(f"{variable}: is not set, and neither is {variable}_FILE")
    if len(settings.secrets[variable].reveal()) < _LEAST_KEY:
        raise SettingsError(f"{variable}: a key has at least {_LEAST_KEY} characters (openssl rand -hex 32)")
    return settings.secrets[variable]


def subscriptions(tables: Tables) -> list[Subscription]:
    """Those that stand, by name."""
    rows = tables.rows(
        "select w.*, ("
        f"select max(id) from {OPS_WEBHOOKS} as a where a.name = w.name and a.action = 'added') as added_id "
        f"from (select distinct on (name) * from {OPS_WEBHOOKS} order by name, id desc) as w "
        "where w.action <> 'removed' order by w.name"
    )
    return [_subscription(row) for row in rows]


def subscription(tables: Tables, name: str) -> Subscription:
    """Raises WebhookError for one that is not there."""
    known = {one.name: one for one in subscriptions(tables)}
    if name not in known:
        raise WebhookError(f"there is no webhook {name!r}; there is: {', '.join(known) or 'none'}")
    return known[name]


def add(
    tables: Tables, settings: Settings, name: str, address: str, key_id: str, types: Sequence[str],
    series: Sequence[str], now: datetime,
) -> None:  # fmt: skip
    """Begin to tell an address of what happens from now on. Raises WebhookError, SettingsError."""
    if not _NAME.fullmatch(name):
        raise WebhookError(f"{name!r} is no name: small letters, digits, - and _, 32 at most")
    if any(one.name == name for one in subscriptions(tables)):
        raise WebhookError(f"there is a webhook {name!r} already: remove it first")
    for type_ in types:
        if type_ not in TYPES:
            raise WebhookError(f"{type_!r} is no type of event: {', '.join(TYPES)}")
    _check_address(address, settings.webhook_private)
    _check_key(settings, key_id)
    begin = Feed(tables.rows).back(0)
    _write(tables, name, "added", address, types, series, key_id, None, None, begin, now)


def rotate(tables: Tables, settings: Settings, name: str, key_id: str, now: datetime) -> datetime:
    """Sign with another key; the one before it signs too until the time that is returned."""
    known = subscription(tables, name)
    if key_id == known.key_id:
        raise WebhookError(f"{key_id} signs already: put the new key under another name")
    _check_key(settings, key_id)
    until = now + OVERLAP
    _write(tables, name, "rotated", known.address, known.types, known.series, key_id, known.key_id, until, known.begin,
           now)  # fmt: skip
    return until


def remove(tables: Tables, name: str, now: datetime) -> None:
    """Tell it nothing any more; what it was told stays on record."""
    known = subscription(tables, name)
    _write(tables, name, "removed", known.address, known.types, known.series, known.key_id, None, None, known.begin,
           now)  # fmt: skip


def _write(
    tables: Tables, name: str, action: str, address: str, types: Sequence[str], series: Sequence[str], key_id: str,
    old_key_id: str | None, old_key_until: datetime | None, begin: Position, now: datetime,
) -> None:  # fmt: skip
    tables.execute(
        f"insert into {OPS_WEBHOOKS} (name, action, address, types, series, key_id, old_key_id, old_key_until, "
        "score_from, decision_from, alert_from, at) values (:name, :action, :address, :types, :series, :key, :old, "
        ":until, :score, :decision, :alert, :at)",
        {
            "name": name, "action": action, "address": address, "types": list(types), "series": list(series),
            "key": key_id, "old": old_key_id, "until": old_key_until, "at": now, **begin._asdict(),
        },
    )  # fmt: skip


def _subscription(row: dict[str, Any]) -> Subscription:
    begin = Position(row["score_from"], row["decision_from"], row["alert_from"])
    return Subscription(
        row["name"], row["added_id"], row["address"], tuple(row["types"]), tuple(row["series"]), row["key_id"],
        row["old_key_id"], row["old_key_until"], begin,
    )  # fmt: skip


def _variable(key_id: str) -> str:
    return f"{WEBHOOK_KEY_PREFIX}{key_id.upper()}"


def _check_key(settings: Settings, key_id: str) -> None:
    if not _KEY.fullmatch(key_id) or key_id.endswith("_file") or key_id == "t":
        raise WebhookError(f"{key_id!r} is no name of a key: small letters, digits and _, 16 at most, not `t`")
    key_of(settings, key_id)


def _check_address(address: str, may_be_private: bool) -> None:
    """What can be said before anything is sent. Names are looked up at each sending, not here: they change."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    if not host or parts.scheme not in ("http", "https") or any(character.isspace() for character in address):
        raise WebhookError("the address is no http(s) address")
    if parts.username is not None or parts.fragment:
        raise WebhookError("the address holds a user, a password or a fragment: the signature tells who sends")
    if parts.scheme == "http" and not (may_be_private and host in _THIS_MACHINE):
        raise WebhookError("the address would be sent to in clear: use https")
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        return
    if not may_be_private and not is_public(literal):
        raise WebhookError(f"{host} is of this machine or a private net; BALLAST_WEBHOOK_PRIVATE=1 allows it")
