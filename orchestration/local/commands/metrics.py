"""`ballast metrics show`, `publish`: the metrics of the jobs, read now; for a look, and for a timer without Dagster."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orchestration.local.commands.common import CommandError, Context, Subparsers, branch, leaf, warehouse_engine

if TYPE_CHECKING:
    from orchestration.metrics.reading import Reading


def register(commands: Subparsers) -> None:
    metrics = branch(commands, "metrics", "what Prometheus is told of the jobs")
    leaf(metrics, "show", "as Prometheus reads it, to the screen", show)
    leaf(metrics, "publish", "to where BALLAST_METRICS says, as the sensor does each half minute", publish_now)


def show(context: Context, options: argparse.Namespace) -> int:
    from orchestration.metrics.publish import as_text

    context.console.out(as_text(_read(context)), end="", highlight=False)
    return 0


def publish_now(context: Context, options: argparse.Namespace) -> int:
    from orchestration.metrics.publish import PublishError, publish

    target = context.settings.metrics
    if target is None:
        raise CommandError("BALLAST_METRICS is not set: textfile:/path/ballast.prom or push:http://host:9091")
    try:
        publish(_read(context), target, context.settings.market.name)
    except PublishError as error:
        raise CommandError(str(error)) from error
    context.console.print(f"metrics: {target}", highlight=False)
    return 0


def _read(context: Context) -> list[Reading]:
    from orchestration.metrics.reading import read_metrics
    from orchestration.resources.warehouse import Warehouse

    with warehouse_engine(context.settings) as engine:
        return read_metrics(Warehouse(engine), datetime.now(UTC))
