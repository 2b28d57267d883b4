"""Commands that only read: status, gaps, quality report, keeper status."""

from __future__ import annotations

import argparse

from rich.markup import escape
from sqlalchemy import text

from orchestration.local import quality_report, report, stack
from orchestration.local.commands.common import Context, Subparsers, branch, leaf, warehouse_engine
from orchestration.local.services import service_table


def register(commands: Subparsers) -> None:
    leaf(commands, "status", "services of the stack, then data, scores and the keeper", status)

    each = leaf(commands, "gaps", "what is missing in each series", gaps)
    each.add_argument("--series", help="only this one")
    each.add_argument("--all", action="store_true", help="list every gap")

    rows = leaf(branch(commands, "quality", "rows that are not believed"), "report", "held, flagged, rejected", quality)
    rows.add_argument("--series", help="only this one")
    rows.add_argument("--reason", help="only this class")
    rows.add_argument("--all", action="store_true", help="list every row")

    leaf(branch(commands, "keeper", "the keeper"), "status", "its switch and its last decisions", keeper)


def status(context: Context, options: argparse.Namespace) -> int:
    services = service_table(context.settings)
    table = report.table_of("Stack", ("service", "state"), ("pid", "restarts"), ("address",))
    for service, item in zip(services, stack.status(context.settings.workspace, services), strict=True):
        address = service.url or "" if item.state != "down" else ""
        table.add_row(service.name, item.state.replace("_", " "), str(item.pid or "-"), str(item.restarts), address)
    context.console.print(table)
    with warehouse_engine(context.settings) as engine:
        report.render(context.settings, engine, context.console)
    return 0


def gaps(context: Context, options: argparse.Namespace) -> int:
    show = quality_report.each_gap_table if options.all else quality_report.gap_table
    with warehouse_engine(context.settings) as engine, engine.connect() as connection:
        context.console.print(show(connection, options.series))
    return 0


def quality(context: Context, options: argparse.Namespace) -> int:
    show = quality_report.each_row_table if options.all else quality_report.quality_table
    with warehouse_engine(context.settings) as engine, engine.connect() as connection:
        context.console.print(show(connection, options.series, options.reason))
    return 0


_SWITCH = "select distinct on (scope) scope, mode, reason, set_by, at from keeper.control order by scope, seq desc"
_DECISIONS = """
select d.vault_id, d.market_time, d.verdict, d.phase, d.reasons, i.state, i.reason
from keeper.decisions as d left join keeper.intents as i on i.decision_id = d.id
order by d.created_at desc limit 20
"""


def keeper(context: Context, options: argparse.Namespace) -> int:
    with warehouse_engine(context.settings) as engine, engine.connect() as connection:
        switches = connection.execute(text(_SWITCH)).all()
        decisions = connection.execute(text(_DECISIONS)).all()
    for row in switches:
        context.console.print(f"{escape(row.scope)}: {row.mode} - {escape(row.reason)} ({escape(row.set_by)})")
    table = report.table_of("Last decisions", ("vault", "market time", "verdict", "phase", "outcome"))
    table.add_column("why", overflow="fold")
    for row in decisions:
        why = "; ".join([*row.reasons, *([row.reason] if row.reason else [])])
        table.add_row(
            escape(row.vault_id), report.minute(row.market_time), row.verdict, row.phase, row.state or "-", escape(why)
        )
    context.console.print(table if decisions else "The keeper has not decided anything yet.")
    return 0
