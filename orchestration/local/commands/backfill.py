"""`ballast backfill`: ask the market again for exactly what is missing. Resumable: what was filled stays filled."""

from __future__ import annotations

import argparse
import uuid

from orchestration.local.commands.common import CommandError, Context, Subparsers, leaf, require_migrated
from orchestration.local.report import count, table_of
from orchestration.local.workspace import opened


def register(commands: Subparsers) -> None:
    parser = leaf(commands, "backfill", "find what is missing and fetch exactly that", backfill)
    parser.add_argument("--series", action="append", help="only this one (may be repeated)")
    parser.add_argument("--full", action="store_true", help="look from the first row again, not from the last scan")
    parser.add_argument("--recheck-absent", action="store_true", help="ask again for what the source did not have")
    parser.add_argument("--dry-run", action="store_true", help="only find and record, ask nobody")


def backfill(context: Context, options: argparse.Namespace) -> int:
    """Scan, ask, report; running it again goes on where a killed one stopped."""
    # pandas and the sources: seconds that other commands need not pay.
    from orchestration.quality.gap_scan import scan_gaps
    from orchestration.resources.workspace import Workspace

    run_id = f"backfill-{uuid.uuid4()}"
    with opened(context.settings) as databases:
        require_migrated(context.settings, databases)
        workspace = Workspace.of(context.settings, databases.ballast)
        try:
            known = {spec.id for spec in workspace.series()}
            if unknown := sorted(set(options.series or ()) - known):
                raise CommandError(
                    f"--series: {', '.join(unknown)} is not a series of this market (see `ballast status`)"
                )
            scans = scan_gaps(
                workspace.warehouse, workspace.market, workspace.now(), run_id, not options.dry_run,
                full=options.full, recheck_absent=options.recheck_absent, series=options.series,
            )  # fmt: skip
        finally:
            workspace.close()
    table = table_of("Back-fill", ("series", "every"), ("gaps found", "slots missing", "gaps fixed", "rows added"))
    for scan in scans:
        table.add_row(
            scan.series, scan.interval, count(scan.gaps_found), count(scan.missing_slots), count(scan.gaps_fixed),
            count(scan.rows_added),
        )  # fmt: skip
    context.console.print(table if scans else "Nothing to look at: no row has come since the last scan.")
    return 0
