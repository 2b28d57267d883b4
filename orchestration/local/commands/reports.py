"""Commands that only read: status, gaps, quality report."""

from __future__ import annotations

import argparse

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
