"""`ballast decision show | check`: from a transaction back to the rows behind it, and whether it comes out again."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Engine, text

from models.decisions.trail import Trails
from orchestration.local import decision_report
from orchestration.local.commands.common import CommandError, Context, Subparsers, branch, desk, leaf, warehouse_engine

if TYPE_CHECKING:
    from orchestration.replaying import Part

_MAX_CHECKED = 10_000


def register(commands: Subparsers) -> None:
    decision = branch(commands, "decision", "what the keeper decided, traced back to the rows it rests on")
    shown = leaf(decision, "show", "one decision: transaction, inputs, target, score, model, features, raw rows", show)
    shown.add_argument("name", metavar="ID-OR-TX-HASH", help="id of a decision, or hash of a transaction")
    shown.add_argument(
        "--replay", action="store_true", help="make score, target and decision again; exit 1 if they differ"
    )
    shown.add_argument("--json", action="store_true", help="everything, as one JSON object")
    checked = leaf(decision, "check", "make the newest decisions again; exit 1 if one differs or is incomplete", check)
    checked.add_argument("--last", type=int, default=100, metavar="N", help="how many (default 100)")
    checked.add_argument("--vault", metavar="ID", help="one vault (default: all)")
    checked.add_argument("--json", action="store_true", help="as one JSON object")


def show(context: Context, options: argparse.Namespace) -> int:
    """Exit code 1 if `--replay` comes out differently."""
    with warehouse_engine(context.settings) as engine:
        trails = Trails(lambda statement, values: _ask(engine, statement, values))
        found = trails.decision_id(options.name)
        if found is None:
            raise CommandError(
                f"ID-OR-TX-HASH: no decision and no transaction is called {options.name!r}; "
                "`ballast keeper status` lists the newest"
            )
        trail = trails.of(found)
    parts = _replayed(context, found) if options.replay else ()
    if options.json:
        print_json(context, {**trail, **({"replay": [_part(part) for part in parts]} if options.replay else {})})
    else:
        for each in decision_report.trail(trail):
            context.console.print(each, highlight=False)
        for each in decision_report.parts(parts):
            context.console.print(each, highlight=False)
    return 0 if all(part.agrees for part in parts) else 1


def check(context: Context, options: argparse.Namespace) -> int:
    """Exit code 1 if a decision comes out differently, cannot be made again or lacks a link of its chain."""
    if not 1 <= options.last <= _MAX_CHECKED:
        raise CommandError(f"--last: a number from 1 to {_MAX_CHECKED}")
    rows = []
    with desk(context) as (workspace, registry):
        from orchestration.replaying import Replays

        replays = Replays(workspace, registry)
        for decision_id in replays.newest(options.last, options.vault):
            trail = replays.trail(decision_id)
            rows.append((trail, replays.of(trail)))
    if not rows:
        raise CommandError("no decision is stored yet" + (f" of vault {options.vault}" if options.vault else ""))
    wrong = [row for row in rows if row[0]["gaps"] or not all(part.agrees for part in row[1])]
    if options.json:
        print_json(context, {
            "checked": len(rows), "agree": len(rows) - len(wrong),
            "wrong": [
                {"id": trail["decision"]["id"], "gaps": trail["gaps"], "replay": [_part(part) for part in parts]}
                for trail, parts in wrong
            ],
        })  # fmt: skip
    else:
        for each in decision_report.checked(rows, wrong):
            context.console.print(each, highlight=False)
    return 1 if wrong else 0


def print_json(context: Context, value: Mapping[str, Any]) -> None:
    """One JSON document on stdout; moments and exact numbers are text."""
    document = json.dumps(value, default=str, allow_nan=False, indent=2, ensure_ascii=False)
    context.console.print(document, markup=False, highlight=False, soft_wrap=True)


def _replayed(context: Context, decision_id: UUID) -> tuple[Part, ...]:
    with desk(context) as (workspace, registry):
        from orchestration.replaying import Replays

        replays = Replays(workspace, registry)
        return replays.of(replays.trail(decision_id))


def _part(part: Part) -> dict[str, Any]:
    return {**asdict(part), "agrees": part.agrees}


def _ask(engine: Engine, statement: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(text(statement), dict(values)).mappings()]
