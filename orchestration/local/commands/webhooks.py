"""`ballast webhooks add`, `list`, `remove`, `test`, `rotate`: programs that are told of events."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from rich.markup import escape

from orchestration.local.commands.common import CommandError, Context, Subparsers, branch, leaf, warehouse_engine
from orchestration.local.report import minute, table_of
from orchestration.settings import Settings, SettingsError

if TYPE_CHECKING:
    from orchestration.resources.warehouse_tables import Tables

_STYLE = {"sent": "green", "failed": "yellow", "dead": "bold red"}


def register(commands: Subparsers) -> None:
    hooks = branch(commands, "webhooks", "programs that are told of new scores, decisions and alerts, signed")
    made = leaf(hooks, "add", "tell an address of what happens from now on", add)
    made.add_argument("name", metavar="NAME")
    made.add_argument("address", metavar="ADDRESS", help="https address without user and password")
    made.add_argument("--key", required=True, metavar="KEY", help="name of the key: WEBHOOK_KEY_<KEY>, or ..._FILE")
    made.add_argument("--types", default="score,decision,alert", metavar="LIST", help="of score, decision, alert")
    made.add_argument("--series", default="", metavar="LIST", help="only these series, vault:<id>, scopes of alerts")
    leaf(hooks, "list", "who is told what, and whether it arrives; exit code 1 if one does not", list_all)
    leaf(hooks, "remove", "tell an address nothing any more", remove).add_argument("name", metavar="NAME")
    leaf(hooks, "test", "send a signed trial message", try_one).add_argument("name", metavar="NAME")
    turned = leaf(hooks, "rotate", "sign with another key; the old one signs too for a day", rotate)
    turned.add_argument("name", metavar="NAME")
    turned.add_argument("--key", required=True, metavar="KEY", help="name of the new key")


def add(context: Context, options: argparse.Namespace) -> int:
    from orchestration.webhooks.subscriptions import add as subscribe

    with _tables(context) as tables:
        subscribe(
            tables, context.settings, options.name, options.address, options.key, _listed(options.types),
            _listed(options.series), datetime.now(UTC),
        )  # fmt: skip
    context.console.print(f"{options.name}: added. Try it: ballast webhooks test {options.name}", highlight=False)
    return 0


def list_all(context: Context, options: argparse.Namespace) -> int:
    from orchestration.webhooks.delivery import states
    from orchestration.webhooks.subscriptions import subscriptions

    with _tables(context) as tables:
        found, how = subscriptions(tables), states(tables)
    if not found:
        context.console.print("No webhook.")
        return 0
    table = table_of("Webhooks", ("name", "leads to", "types", "series", "key", "last", "at"), ("given up",))
    table.add_column("what", overflow="fold")
    for one in found:
        last: dict[str, Any] = how.get(one.name, {"outcome": "", "at": None, "dead": 0, "error": None})
        outcome = f"[{_STYLE.get(last['outcome'], 'dim')}]{last['outcome'] or 'nothing yet'}[/]"
        table.add_row(
            one.name, escape(one.place), ", ".join(one.types), escape(", ".join(one.series)) or "all",
            f"{one.key_id} {_key_state(context.settings, one.key_id)}", outcome,
            minute(last["at"]) if last["at"] else "", str(last["dead"]), escape(last["error"] or ""),
        )  # fmt: skip
    context.console.print(table)
    return 1 if any(how.get(one.name, {}).get("outcome") in ("failed", "dead") for one in found) else 0


def remove(context: Context, options: argparse.Namespace) -> int:
    from orchestration.webhooks.subscriptions import remove as end

    with _tables(context) as tables:
        end(tables, options.name, datetime.now(UTC))
    context.console.print(f"{options.name}: removed.", highlight=False)
    return 0


def try_one(context: Context, options: argparse.Namespace) -> int:
    """Nothing is noted: what waits is sent by the job all the same."""
    from orchestration.alerts.channels.interface import ChannelError
    from orchestration.webhooks.delivery import poster
    from orchestration.webhooks.subscriptions import subscription

    with _tables(context) as tables:
        one = subscription(tables, options.name)
    told = {
        "kind": "test",
        "id": str(uuid4()),
        "webhook": one.name,
        "market": context.settings.market.name,
        "events": [],
    }
    try:
        poster(context.settings, lambda: datetime.now(UTC))(one, told)
    except ChannelError as error:
        raise CommandError(f"{one.name}: {error}") from error
    context.console.print(f"{one.name}: sent. Look whether the signature was accepted.", highlight=False)
    return 0


def rotate(context: Context, options: argparse.Namespace) -> int:
    from orchestration.webhooks.subscriptions import rotate as turn

    with _tables(context) as tables:
        until = turn(tables, context.settings, options.name, options.key, datetime.now(UTC))
    context.console.print(
        f"{options.name}: {options.key} signs; the key before it signs too until {minute(until)} UTC.", highlight=False
    )
    return 0


def _key_state(settings: Settings, key_id: str) -> str:
    from orchestration.webhooks.subscriptions import key_of

    try:
        key_of(settings, key_id)
    except SettingsError:
        return "(not set here)"
    return ""


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


@contextmanager
def _tables(context: Context) -> Iterator[Tables]:
    from orchestration.resources.warehouse_tables import Tables  # with pandas, which other commands need not load
    from orchestration.webhooks.subscriptions import WebhookError

    try:
        with warehouse_engine(context.settings) as engine:
            yield Tables(engine)
    except WebhookError as error:
        raise CommandError(str(error)) from None
