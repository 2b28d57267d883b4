"""Commands on data and configuration: forecasts export, universe check."""

from __future__ import annotations

import argparse
from pathlib import Path

from models.contracts.market import DataMode
from orchestration.local.commands.common import CommandError, Context, Subparsers, branch, leaf, warehouse_engine
from orchestration.local.forecasts_export import write_forecasts
from orchestration.universe import load_universe


def register(commands: Subparsers) -> None:
    forecasts = branch(commands, "forecasts", "walk-forward forecasts")
    out = leaf(forecasts, "export", "write the champions' out-of-sample forecasts as CSV", export)
    out.add_argument("--out", type=Path, required=True, metavar="FILE")
    out.add_argument("--series", help="only this one")

    check = leaf(
        branch(commands, "universe", "series, vaults, limits"), "check", "validate the universe file", universe
    )
    check.add_argument("file", type=Path, nargs="?", help="default: BALLAST_UNIVERSE")


def export(context: Context, options: argparse.Namespace) -> int:
    with warehouse_engine(context.settings) as engine, engine.connect() as connection:
        try:
            rows, series = write_forecasts(connection, options.out, options.series)
        except OSError as error:
            raise CommandError(f"--out: {options.out} cannot be written ({error.strerror})") from error
    context.console.print(f"{rows:,} forecasts of {series} series in {options.out}", highlight=False, soft_wrap=True)
    return 0 if rows else 1


def universe(context: Context, options: argparse.Namespace) -> int:
    path = options.file or context.settings.universe_path
    found = load_universe(path)
    counts = ", ".join(f"{len(found.series_of(mode))} {mode} series" for mode in (DataMode.SIMULATED, DataMode.LIVE))
    vaults = ", ".join(f"{vault.id} on {vault.network}" for vault in found.vaults)
    context.console.print(f"{path} is valid: {counts}; vaults: {vaults}", highlight=False, soft_wrap=True)
    return 0
