"""`ballast archive make` and `ballast archive list`: old history as Parquet, for those who keep it for years."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from pathlib import Path

from orchestration.local.commands.common import CommandError, Context, Subparsers, branch, leaf, warehouse_engine
from orchestration.local.database import workspace_databases
from orchestration.local.environment import library_environment
from orchestration.local.report import table_of
from orchestration.settings import export


def register(commands: Subparsers) -> None:
    archive = branch(commands, "archive", "old history as Parquet files; nothing that features or the keeper need goes")
    made = leaf(
        archive, "make", "copy old years of raw tables and old runs of Dagster; only told without --write", make
    )
    made.add_argument("folder", metavar="DIR", type=Path)
    made.add_argument("--older-than", metavar="DAYS", type=int, required=True, dest="days")
    made.add_argument("--write", action="store_true", help="write the files (default: say what would be written)")
    made.add_argument(
        "--delete-runs", action="store_true", help="delete runs that are in the archive, read back and compared"
    )
    listed = leaf(archive, "list", "files of an archive, their rows, and whether they are whole; exit 1 if not", show)
    listed.add_argument("folder", metavar="DIR", type=Path)


def make(context: Context, options: argparse.Namespace) -> int:
    from orchestration.archive.parquet import ArchiveError

    if options.days < 1:
        raise CommandError("--older-than: a number of days from 1 on")
    if options.delete_runs and not options.write:
        raise CommandError("--delete-runs: only what was written is deleted, so add --write")
    try:
        _raw(context, options)
        _runs(context, options)
    except ArchiveError as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"{options.folder} cannot be written ({error.strerror}): nothing was deleted") from error
    if not options.write:
        context.console.print("Nothing was written: add --write.")
    return 0


def _raw(context: Context, options: argparse.Namespace) -> None:
    """Ages are counted on the wall clock, as those of runs: an archive is about storage, not about a market."""
    from orchestration.archive import raw_partitions

    now = datetime.now(UTC)
    with warehouse_engine(context.settings) as engine:
        for partition in raw_partitions.old_partitions(engine, now - timedelta(days=options.days)):
            told = f"raw.{partition.name}: {partition.rows:,} rows"
            if options.write:
                entry = raw_partitions.copy(engine, partition, options.folder, now)
                told += f" > {entry.path}" if entry else ", there already"
            context.console.print(told, highlight=False, soft_wrap=True)


def _runs(context: Context, options: argparse.Namespace) -> None:
    with warehouse_engine(context.settings):  # the server is up for as long as it is asked
        export(library_environment(context.settings, workspace_databases(context.settings)))
        from dagster import DagsterInstance

        from orchestration.archive import old_runs

        now = datetime.now(UTC)
        with DagsterInstance.get() as instance:
            days = old_runs.by_day(instance, now - timedelta(days=options.days))
            if not options.write:
                context.console.print(f"Dagster: {sum(map(len, days)):,} ended runs", highlight=False)
                return
            for runs in days:
                new = old_runs.copy(instance, runs, options.folder, now)
                for run_id in runs if options.delete_runs else ():
                    instance.delete_run(run_id)
                where = " and ".join(entry.path for entry in new) or "there already"
                gone = ", deleted" if options.delete_runs else ""
                context.console.print(f"Dagster: {len(runs):,} runs > {where}{gone}", highlight=False, soft_wrap=True)


def show(context: Context, options: argparse.Namespace) -> int:
    from orchestration.archive.parquet import ArchiveError, entries, problem

    try:
        found = entries(options.folder)
        broken = {entry.path: problem(options.folder, entry) for entry in found}
    except ArchiveError as error:
        raise CommandError(str(error)) from error
    table = table_of(f"Archive {options.folder}", ("rows", "made", "state"))
    table.add_column("file", overflow="fold")
    for entry in found:
        table.add_row(f"{entry.rows:,}", entry.made_at[:10], broken[entry.path] or "whole", entry.path)
    context.console.print(table)
    return 1 if any(broken.values()) else 0
