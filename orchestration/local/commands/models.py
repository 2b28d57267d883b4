"""`ballast models`: champions, the ledger, comparisons; promotion through the gate and rollback."""

from __future__ import annotations

import argparse
import getpass
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psutil

from models.contracts.clock import MarketClock
from models.validation.ledger import Entry, champion_at
from orchestration.local import models_report
from orchestration.local.commands.common import CommandError, Context, Subparsers, branch, desk, leaf, warehouse_engine
from orchestration.local.report_queries import market_line
from orchestration.resources.ledger import read_ledger

if TYPE_CHECKING:
    from orchestration.by_hand import Change
    from orchestration.resources.model_registry import ModelRegistry
    from orchestration.resources.workspace import Workspace


def register(commands: Subparsers) -> None:
    models = branch(commands, "models", "the model registry and its ledger")
    leaf(models, "list", "champions, how old they are, and what they had to beat", show_list)

    ledger = leaf(models, "ledger", "every change of a champion, or who was champion at a moment", show_ledger)
    ledger.add_argument(
        "--at", metavar="MOMENT", type=_moment, help="ISO 8601, market time; UTC where no zone is given"
    )
    ledger.add_argument("--model", metavar="NAME", help="only this one")

    compare = leaf(models, "compare", "figures side by side, and the contest in shadow", show_compare)
    compare.add_argument("name", metavar="NAME")
    compare.add_argument("--versions", nargs=2, metavar=("A", "B"), help="instead of champion and shadows")

    up = leaf(models, "promote", "make a version champion, if the gate accepts its evidence", promote)
    up.add_argument("name", metavar="NAME")
    up.add_argument("version", metavar="VERSION")
    up.add_argument("--reason", required=True, metavar="TEXT")

    back = leaf(models, "rollback", "return to a former champion and serve it at once", rollback)
    back.add_argument("name", metavar="NAME")
    back.add_argument("--to", metavar="VERSION", help="default: the champion before this one")
    back.add_argument("--reason", required=True, metavar="TEXT")


def show_list(context: Context, options: argparse.Namespace) -> int:
    entries, now = _read(context)
    names = sorted({entry.model_name for entry in entries})
    champions = [found for name in names if (found := champion_at(entries, name, now)) is not None]
    if champions:
        context.console.print(models_report.champions_table(champions, entries, now))
    else:
        context.console.print("No champion yet: `make run` trains, compares and promotes.")
    return 0


def show_ledger(context: Context, options: argparse.Namespace) -> int:
    entries, _ = _read(context, options.model)
    if options.model is not None and not entries:
        raise CommandError(f"the ledger has nothing of {options.model}: `ballast models list` names the models")
    if not entries:
        context.console.print("The ledger is empty: `make run` trains, compares and promotes.")
        return 0
    if options.at is None:
        context.console.print(models_report.ledger_table(entries))
        return 0
    for name in sorted({entry.model_name for entry in entries}):
        found = champion_at(entries, name, options.at)
        told = [f"{name}: no champion yet"] if found is None else models_report.evidence_lines(found)
        for line in told:
            context.console.print(line, highlight=False, soft_wrap=True)
    return 0


def show_compare(context: Context, options: argparse.Namespace) -> int:
    with desk(context) as (workspace, _):
        from orchestration import by_hand, shadow_reading

        with workspace.warehouse.transaction() as connection:
            entries = read_ledger(connection, options.name)
        try:
            if options.versions:
                sides = shadow_reading.versions(entries, options.name, options.versions)
            else:
                sides = shadow_reading.members(entries, options.name, workspace.now())
        except by_hand.NotPossible as error:
            raise CommandError(str(error)) from error
        found = shadow_reading.compare_sides(workspace, entries, sides)
    context.console.print(models_report.figures_table(found))
    context.console.print()
    context.console.print(
        models_report.contests_table(found) if found.contests else "Nobody speaks in shadow beside it."
    )
    return 0


def promote(context: Context, options: argparse.Namespace) -> int:
    with desk(context) as (workspace, registry):
        from orchestration import by_hand

        try:
            done = by_hand.promote(
                workspace, registry, options.name, options.version, _reason(options), _who(), _Told(context)
            )
        except (by_hand.NotPossible, by_hand.Refused) as error:
            raise CommandError(str(error)) from error
        _tell(context, done)
        _follow(workspace, registry)
    return 0


def rollback(context: Context, options: argparse.Namespace) -> int:
    with desk(context) as (workspace, registry):
        from orchestration import by_hand

        try:
            done = by_hand.roll_back(
                workspace, registry, options.name, options.to, _reason(options), _who(), _Told(context)
            )
        except by_hand.NotPossible as error:
            raise CommandError(str(error)) from error
        _tell(context, done)
        seconds = time.time() - psutil.Process().create_time()
        context.console.print(f"Served {seconds:.1f} s after the command began.", highlight=False)
        _follow(workspace, registry)
    return 0


class _Told:
    """Warnings of a tick, as complaints of the command."""

    def __init__(self, context: Context) -> None:
        self._errors = context.errors

    def warning(self, message: str) -> None:
        self._errors.print(message, highlight=False, markup=False, soft_wrap=True)


def _tell(context: Context, done: Change) -> None:
    entry = done.entry
    context.console.print(
        f"{entry.model_name}: version {entry.model_version} ({entry.algorithm}) is champion, entry {entry.id} of the "
        f"ledger; {done.issued.added} scores and {done.targets} targets issued anew.",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip


def _follow(workspace: Workspace, registry: ModelRegistry) -> None:
    """The alias in MLflow, last: nothing that is served waits for it."""
    from orchestration.assets.promotion import repair_aliases

    repair_aliases(workspace, registry)


def _read(context: Context, name: str | None = None) -> tuple[list[Entry], datetime]:
    """The ledger, and the market's time."""
    with warehouse_engine(context.settings) as engine, engine.connect() as connection:
        entries, market = read_ledger(connection, name), market_line(connection)
    wall = datetime.now(UTC)
    if market is None or market.clock_anchor is None:
        return entries, wall
    return entries, MarketClock(market.clock_anchor, market.wall_anchor, market.clock_speed or 1.0).now(wall)


def _reason(options: argparse.Namespace) -> str:
    reason = str(options.reason).strip()
    if not reason:
        raise CommandError("--reason: say why; the ledger keeps it")
    return reason


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no account in the system's files, as in a container
        return "unknown"


def _moment(given: str) -> datetime:
    try:
        moment = datetime.fromisoformat(given)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{given!r} is no ISO 8601 time, such as 2026-01-31T12:00") from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
