"""`ballast leaks`: does anything here look ahead? Every probe of the sentinel, panel by panel."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.markup import escape

from orchestration.local.commands.common import CommandError, Context, Subparsers, leaf, warehouse_engine
from orchestration.local.report import count, table_of

if TYPE_CHECKING:
    from models.validation.leaks import Finding
    from orchestration.resources.workspace import Workspace

_VIEW = "select to_regclass('features.volatility') is not null as there"
_STYLE = {"leak": "bold red", "not probed": "yellow"}


def register(commands: Subparsers) -> None:
    parser = leaf(commands, "leaks", "probe features, models and scores for anything that looks ahead", leaks)
    parser.add_argument("--thorough", action="store_true", help="every model, more series and cuts: minutes")
    parser.add_argument("--seed", type=int, metavar="N", help="draw another sample than the training run's")


def leaks(context: Context, options: argparse.Namespace) -> int:
    """Look at everything again, whatever was said of it before."""
    # The models and Dagster's assets: seconds that other commands need not pay.
    from orchestration.resources.workspace import Workspace

    if options.seed is not None and options.seed < 0:
        raise CommandError("--seed: a number from 0 on")
    table = table_of("Leaks", ("panel", "probe", "subject", "verdict"), ("compared",))
    table.add_column("first offender", overflow="fold")
    leaking = probed = 0
    with warehouse_engine(context.settings) as engine:
        workspace = Workspace.of(context.settings, engine.url.render_as_string(hide_password=False))
        try:
            for panel, finding in _findings(workspace, context, options):
                style = _STYLE.get(finding.verdict, "green")
                table.add_row(
                    panel, finding.probe, escape(finding.subject), f"[{style}]{finding.verdict}[/]",
                    count(finding.cases), escape(finding.first),
                )  # fmt: skip
                leaking += finding.verdict == "leak"
                probed += finding.cases > 0
        finally:
            workspace.close()
    if not table.row_count:
        context.console.print("Nothing to probe yet: no features have been built.")
        return 0
    context.console.print(table)
    told = f"{leaking} of {probed} probes found a leak" if leaking else f"{probed} probes, no leak"
    context.console.print(told, highlight=False)
    return 1 if leaking else 0


def _findings(workspace: Workspace, context: Context, options: argparse.Namespace) -> Iterator[tuple[str, Finding]]:
    from models.validation.leak_sentinel import REGULAR, THOROUGH
    from orchestration.assets.evaluation import works
    from orchestration.leak_verdicts import examine, features_known_late, issued_too_early, seed_of

    if not workspace.warehouse.rows(_VIEW)[0]["there"]:
        return
    yield "all", features_known_late(workspace)
    for finding in issued_too_early(workspace):
        yield "all", finding
    for work in works(workspace):
        panel = f"{work.kind.value} {work.horizon_days} d"
        context.errors.print(f"probing {panel}: {work.rows['series'].nunique()} series", highlight=False)
        seed = seed_of(work.id) if options.seed is None else options.seed
        effort = THOROUGH if options.thorough else REGULAR
        for finding in examine(work, effort, seed):
            yield panel, finding
