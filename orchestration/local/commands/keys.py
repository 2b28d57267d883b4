"""`ballast keys create`, `list`, `rotate`, `revoke`: who may ask the API of this market, and until when."""

from __future__ import annotations

import argparse
import getpass
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from rich.markup import escape

from models.access.keys import ID_BYTES, SECRET_BYTES, Scope, id_of, redacted, written
from orchestration.local.commands.common import CommandError, Context, Subparsers, branch, leaf, warehouse_engine
from orchestration.local.report import minute, table_of

_STYLE = {"open": "green", "ending": "yellow"}
_DAYS, _OVERLAP_HOURS = 90, 24


def register(commands: Subparsers) -> None:
    keys = branch(commands, "keys", "who may ask the API, and until when")
    made = leaf(keys, "create", "make a key; it is printed once, alone on the standard output", create)
    made.add_argument("name", metavar="NAME", help="who or what it is for")
    made.add_argument(
        "--scope", action="append", required=True, choices=[scope.value for scope in Scope],
        help="what it may do; again for more: none includes another",
    )  # fmt: skip
    made.add_argument("--days", type=float, default=_DAYS, help=f"how long it lives (default: {_DAYS})")
    made.add_argument(
        "--per-minute", type=int, metavar="N", help="requests it may make; 0: no bound (default: what the server gives)"
    )
    leaf(keys, "list", "all keys, what they may do, until when, used when", show)
    turned = leaf(keys, "rotate", "make the key that follows another; both open for a while", rotate)
    turned.add_argument("id", metavar="ID")
    turned.add_argument("--days", type=float, default=_DAYS, help=f"how long the new one lives (default: {_DAYS})")
    turned.add_argument(
        "--overlap-hours", type=float, default=_OVERLAP_HOURS,
        help=f"how long the old one still opens (default: {_OVERLAP_HOURS})",
    )  # fmt: skip
    ended = leaf(keys, "revoke", "end a key; within five seconds it opens nothing", revoke)
    ended.add_argument("id", metavar="ID")
    ended.add_argument("--reason", default="revoked by hand", help="kept beside it")


def create(context: Context, options: argparse.Namespace) -> int:
    from orchestration.access import api_keys

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 ._@-]{0,63}", options.name):
        raise CommandError("NAME: up to 64 letters, digits, spaces and . _ @ -")
    if options.per_minute is not None and not 0 <= options.per_minute <= 1_000_000:
        raise CommandError("--per-minute: from 0 to 1000000")
    wanted = api_keys.Wanted(options.name, [Scope(scope) for scope in options.scope], options.days, options.per_minute)
    with warehouse_engine(context.settings) as engine, _refusals():
        ends_at = api_keys.create(engine, wanted, key := _new_key(), getpass.getuser(), datetime.now(UTC))
    return _shown_once(context, key, ends_at)


def rotate(context: Context, options: argparse.Namespace) -> int:
    from orchestration.access import api_keys

    if not 0 <= options.overlap_hours <= 24 * 366:
        raise CommandError("--overlap-hours: from 0 to a year")
    overlap = timedelta(hours=options.overlap_hours)
    with warehouse_engine(context.settings) as engine, _refusals():
        key = _new_key()
        ends_at = api_keys.rotate(
            engine, _id(options), options.days, overlap, key, getpass.getuser(), datetime.now(UTC)
        )
    return _shown_once(context, key, ends_at)


def revoke(context: Context, options: argparse.Namespace) -> int:
    from orchestration.access import api_keys

    with warehouse_engine(context.settings) as engine, _refusals():
        api_keys.revoke(engine, _id(options), options.reason[:200], getpass.getuser(), datetime.now(UTC))
    context.console.print(f"Key {_id(options)} is revoked.", highlight=False)
    return 0


def show(context: Context, options: argparse.Namespace) -> int:
    """Keys of this market; none of them can be shown again."""
    from orchestration.access import api_keys

    now = datetime.now(UTC)
    with warehouse_engine(context.settings) as engine:
        rows = api_keys.listed(engine)
    if not rows:
        context.console.print("No key yet: `ballast keys create NAME --scope read` makes one.")
        return 0
    table = table_of("API keys", ("id", "name", "may", "state", "ends", "last used"), ("a minute",), ("follows",))
    for row in rows:
        state = api_keys.state_of(row, now)
        bound = {None: "default", 0: "no bound"}.get(row["per_minute"], str(row["per_minute"]))
        table.add_row(
            row["id"], escape(row["name"]), ", ".join(row["scopes"]), f"[{_STYLE.get(state, 'dim')}]{state}[/]",
            minute(row["ends_at"]), minute(row["last_used_at"]), bound, row["replaces"] or "",
        )  # fmt: skip
    context.console.print(table)
    return 0


def _id(options: argparse.Namespace) -> str:
    """The id as it is given, or out of a whole key: what was typed must not stand in an error with its secret."""
    return id_of(options.id) or redacted(options.id)


def _new_key() -> str:
    return written(secrets.token_bytes(ID_BYTES), secrets.token_bytes(SECRET_BYTES))


def _shown_once(context: Context, key: str, ends_at: datetime) -> int:
    """The key alone on the standard output, so that a script can take it; the words go beside it."""
    context.console.print(key, highlight=False, soft_wrap=True, markup=False)
    context.errors.print(
        f"Keep it now: it is shown this once and stored nowhere. It ends {minute(ends_at)} UTC.", highlight=False
    )
    return 0


@contextmanager
def _refusals() -> Iterator[None]:
    from orchestration.access.api_keys import ApiKeyError

    try:
        yield
    except ApiKeyError as error:
        raise CommandError(str(error)) from error
