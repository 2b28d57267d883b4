"""`ballast drift curve`: how late a drift of a coin's volatility is noticed, at how many false alarms."""

from __future__ import annotations

import argparse
from pathlib import Path

from orchestration import quiet
from orchestration.local.commands.common import CommandError, Context, Subparsers, branch, leaf, warehouse_engine
from orchestration.local.report import table_of

_VIEW = "select to_regclass('features.bar_returns') is not null as there"


def register(commands: Subparsers) -> None:
    drift = branch(commands, "drift", "detectors of drift")
    parser = leaf(drift, "curve", "plant drifts in recorded hours; delay against false alarms as CSV and PNG", curve)
    parser.add_argument("--series", required=True, metavar="ID")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--plants", type=int, default=200, metavar="N", help="drifts of each size (default 200)")


def curve(context: Context, options: argparse.Namespace) -> int:
    """Write ID.csv and ID.png and print the table."""
    # The detectors and matplotlib: seconds that other commands need not pay.
    from models.drift.alarms import NotEnoughHistory
    from orchestration.drift.curve import curve_of, market_streams, png_of
    from orchestration.resources.workspace import Workspace

    if options.plants < 1:
        raise CommandError("--plants: a number from 1 on")
    with warehouse_engine(context.settings) as engine, quiet.libraries():
        workspace = Workspace.of(context.settings, engine.url.render_as_string(hide_password=False))
        try:
            there = workspace.warehouse.rows(_VIEW)[0]["there"]
            streams = market_streams(workspace, workspace.now()) if there else {}
        finally:
            workspace.close()
    if options.series not in streams:
        raise CommandError(
            f"--series: {options.series} has no hourly bars here; choose from {', '.join(streams) or 'none'}"
        )
    try:
        found = curve_of(streams, options.series, context.settings.seed, options.plants)
    except NotEnoughHistory as error:
        raise CommandError(str(error)) from error
    target = options.out / options.series.replace(":", "-")
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        target.with_name(f"{target.name}.csv").write_text(found.to_csv(index=False), encoding="utf-8")
        target.with_name(f"{target.name}.png").write_bytes(png_of(found, options.series))
    except OSError as error:
        raise CommandError(f"--out: {options.out} cannot be written ({error.strerror})") from error
    columns = (
        "stated a quarter",
        "seen a quarter",
        "volatility x",
        "median h",
        "90 % h",
        "within 24 h",
        "within 120 h",
    )
    table = table_of(f"{options.series}: delay of an alarm", (), columns)
    for row in found.to_dict("records"):
        table.add_row(
            f"{row['per_quarter']:.2f}", f"{row['false_alarms']:.2f}", f"{row['factor']:g}", f"{row['median_h']:.0f}",
            f"{row['p90_h']:.0f}", f"{row['within_24h']:.2f}", f"{row['within_120h']:.2f}",
        )  # fmt: skip
    context.console.print(table)
    context.console.print(f"{target}.csv and .png", highlight=False, soft_wrap=True)
    return 0
