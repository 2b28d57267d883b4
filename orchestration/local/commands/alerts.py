"""`ballast alerts check`, `list`, `test`: judge now, see what stands, try a channel."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from orchestration.local.commands.common import CommandError, Context, Subparsers, branch, leaf, warehouse_engine
from orchestration.local.report import minute, table_of

if TYPE_CHECKING:
    from orchestration.resources.workspace import Workspace

_STYLE = {"critical": "bold red", "warning": "yellow", "info": "cyan"}


def register(commands: Subparsers) -> None:
    alerts = branch(commands, "alerts", "what an engineer on call is told, and whether it arrives")
    leaf(alerts, "check", "judge the tables now and send what is due; exit code 1 while an alert stands", check)
    shown = leaf(alerts, "list", "alerts that stand, worst first; exit code 1 if there are any", list_alerts)
    shown.add_argument("--all", action="store_true", help="also those that are over, newest first")
    tried = leaf(alerts, "test", "send a message to one channel of BALLAST_ALERT_CHANNELS", try_channel)
    tried.add_argument("channel", metavar="CHANNEL")


def check(context: Context, options: argparse.Namespace) -> int:
    """A whole pass, as the schedule and its run make it; safe beside them."""
    from orchestration.alerts.checking import check as one_pass
    from orchestration.alerts.ledger import standing

    with _workspace(context) as workspace:
        done = one_pass(workspace)
        rows = standing(workspace.warehouse)
    for told in done.told:
        if told.error is not None:
            context.errors.print(f"[yellow]{told.channel}[/]: {escape(told.error)}; kept for the next pass")
        elif told.messages:
            context.console.print(f"{told.channel}: {told.messages} messages about {told.events} alerts")
    return _shown(context, rows, "Alerts")


def list_alerts(context: Context, options: argparse.Namespace) -> int:
    """Only looks: judges nothing and sends nothing."""
    from orchestration.alerts.ledger import standing

    with _workspace(context) as workspace:
        rows = standing(workspace.warehouse, also_over=options.all)
    return _shown(context, rows, "Alerts, also those that are over" if options.all else "Alerts")


def try_channel(context: Context, options: argparse.Namespace) -> int:
    """Needs no database: a channel is set up before the first run, too."""
    from orchestration.alerts.channels.bounded import send_in_time
    from orchestration.alerts.channels.interface import ChannelError
    from orchestration.alerts.config import alert_config
    from orchestration.alerts.message import trial_message

    channel = alert_config(context.settings).channel(options.channel)
    message = trial_message(channel.name, context.settings.market.name, datetime.now(UTC))
    try:
        send_in_time(channel, message)
    except ChannelError as error:
        raise CommandError(f"{channel.name}: {error}") from error
    context.console.print(f"{channel.name}: sent. Look whether it arrived.", highlight=False)
    return 0


def _shown(context: Context, rows: list[dict[str, Any]], title: str) -> int:
    if not rows:
        context.console.print("No alert.")
        return 0
    table = table_of(title, ("severity", "alert", "about", "state", "since"), ("times",))
    table.add_column("what", overflow="fold")
    for row in rows:
        style = "green" if row["event"] == "cleared" else _STYLE[row["severity"]]
        table.add_row(
            f"[{style}]{row['severity']}[/]", row["name"], escape(row["scope"]), _state(row), minute(row["since"]),
            str(row["count"]), escape(row["summary"]),
        )  # fmt: skip
    context.console.print(table)
    stand = sum(row["event"] != "cleared" for row in rows)
    context.console.print(f"{stand} stand. What to do about each: docs/runbook.md", highlight=False)
    return 1 if stand else 0


def _state(row: Mapping[str, Any]) -> str:
    return f"over {minute(row['at'])}" if row["event"] == "cleared" else "stands"


@contextmanager
def _workspace(context: Context) -> Iterator[Workspace]:
    from orchestration.resources.workspace import Workspace  # with Dagster: a second that other commands need not pay

    with warehouse_engine(context.settings) as engine:
        workspace = Workspace.of(context.settings, engine.url.render_as_string(hide_password=False))
        try:
            yield workspace
        finally:
            workspace.close()
