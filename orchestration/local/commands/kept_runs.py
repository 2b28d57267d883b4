"""The words of the command line for a kind of run: run one, list and show them, put several side by side, run one again
and say whether it is equal.

The questions are those of the API: the same fields, read by the same code, and one registry.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.contracts.runs import Asker, RunKind, RunStatus
from models.runs.compare import differences, repeated
from models.runs.fields import Field, Number, Part, Several
from orchestration import quiet
from orchestration.local import runs_report
from orchestration.local.commands.common import CommandError, Context, Subparsers, branch, leaf, warehouse_engine

if TYPE_CHECKING:
    from models.runs.registry import Registry, StoredRun
    from orchestration.resources.workspace import Workspace

_SHOWN_DIFFERENCES = 20


@dataclass(frozen=True, slots=True)
class Words:
    """`name` of the command, `about` it, `noun` of a run; `request`: fields that become options of `run`."""

    kind: RunKind
    name: str
    about: str
    request: Mapping[str, Field]

    @property
    def noun(self) -> str:
        return self.kind.value


def add_words(commands: Subparsers, own: Words) -> Subparsers:
    """Add the command of one kind of run; returns where more words of it go."""
    words = branch(commands, own.name, own.about)
    run = leaf(words, "run", "run one here and keep it", partial(run_one, own))
    for name, field in own.request.items():
        run.add_argument(
            f"--{name.replace('_', '-')}",
            required=field.required,
            metavar="NAME=NUMBER,..." if isinstance(field, Part) else "A,B" if isinstance(field, Several) else "VALUE",
            help=field.about.replace("%", "%%"),
        )
    run.add_argument("--queue", action="store_true", help="leave it to the job of the running stack")

    each = leaf(words, "list", f"{own.noun}s that were asked for, newest first", partial(show_list, own))
    each.add_argument("--vault-id", metavar="VAULT", help="only of this one")
    each.add_argument("--status", choices=[status.value for status in RunStatus], help="only those that are so far")
    each.add_argument("--limit", type=int, default=20, metavar="N", help="at most (default 20)")

    one = leaf(words, "show", f"one {own.noun}: what it rests on and what came out", partial(show_one, own))
    one.add_argument("id", metavar="ID")
    one.add_argument("--out", type=Path, metavar="FOLDER", help="write run.json and its tables as Parquet")

    several = leaf(words, "compare", "several side by side, and in what they differ", partial(compare, own))
    several.add_argument("ids", nargs="+", metavar="ID")

    again = leaf(
        words, "rerun", "compute one again from its stored inputs: equal, or what differs", partial(rerun, own)
    )
    again.add_argument("id", metavar="ID")

    end = leaf(words, "cancel", "one that waits or is computed is wanted no more", partial(cancel, own))
    end.add_argument("id", metavar="ID")
    return words


def run_one(own: Words, context: Context, options: argparse.Namespace) -> int:
    body = body_of(own.request, options)
    with _opened(context) as (workspace, registry):
        from models.runs.kinds import KINDS
        from models.runs.plan import Cancelled, RequestError, unwatched
        from orchestration.requested_runs import compute_now
        from orchestration.resources.runs import market_of

        try:
            plan = KINDS[own.kind].plan(body, market_of(workspace.warehouse))
        except RequestError as error:
            raise CommandError(_as_option(error.field, str(error))) from error
        if options.queue:
            # Not taken, and nothing to be done, where it waits, is computed or is done.
            registry.record(plan, RunStatus.QUEUED, Asker.CLI, workspace.now(), workspace.mode.value)
            context.console.print(f"{plan.identity.id}: `ballast {own.name} show` says how far it is", highlight=False)
            return 0
        try:
            run = compute_now(workspace, plan, Asker.CLI, unwatched)
        except Cancelled:
            raise CommandError(f"{plan.identity.id} was cancelled while it was computed: nothing is kept") from None
    _print(context, run)
    return 0


def show_list(own: Words, context: Context, options: argparse.Namespace) -> int:
    if not 1 <= options.limit <= 1000:
        raise CommandError("--limit: a number from 1 to 1000")
    status = RunStatus(options.status) if options.status else None
    with _opened(context) as (_, registry):
        runs = registry.page(own.kind, options.limit, options.vault_id, status)
    if runs:
        context.console.print(runs_report.runs_table(f"{own.noun.capitalize()}s", runs))
    else:
        context.console.print(f"No {own.noun} yet: `ballast {own.name} run --vault-id VAULT` makes one.")
    return 0


def show_one(own: Words, context: Context, options: argparse.Namespace) -> int:
    with _opened(context) as (_, registry):
        run = _found(own, registry, options.id)
        course = registry.course(run.id)
    if options.out is not None:
        _write(options.out, run, *course)
    _print(context, run)
    return 0


def compare(own: Words, context: Context, options: argparse.Namespace) -> int:
    if len(set(options.ids)) < 2:
        raise CommandError(f"ID: name two different runs or more; `ballast {own.name} list` shows them")
    with _opened(context) as (_, registry):
        runs = [_found(own, registry, name) for name in dict.fromkeys(options.ids)]
    context.console.print(runs_report.comparison_table(runs))
    found = differences([run.inputs for run in runs])
    context.console.print(runs_report.differences_table("Inputs that differ", found, [run.id for run in runs]))
    return 0


def rerun(own: Words, context: Context, options: argparse.Namespace) -> int:
    """Nothing is stored. Exit code 1 when anything differs."""
    with _opened(context) as (workspace, registry):
        from models.runs.kinds import KINDS
        from models.runs.plan import RequestError, unwatched
        from orchestration.resources.runs import market_of

        run = _found(own, registry, options.id)
        if run.summary is None:
            raise CommandError(f"{run.id} is {run.status.value}: there is nothing to compare a repetition with")
        try:
            plan = KINDS[run.kind].replan(run.inputs, market_of(workspace.warehouse))
        except RequestError as error:
            raise CommandError(f"{run.id} cannot be computed again: {error}") from error
        outcome = plan.compute(unwatched)
    # As it would be read back from the database.
    hashes, found = repeated(run, plan.identity, json.loads(json.dumps(outcome.summary)))
    if not hashes and not found:
        context.console.print(f"{run.id}: equal, summary and hashes.", highlight=False)
        return 0
    said = ", ".join(name.replace("_hash", "").replace("input", "inputs") for name in hashes) or "none of the hashes"
    context.console.print(f"{run.id}: not equal. Changed since: {said}; {len(found)} figures differ.", highlight=False)
    if found:
        shown = found[:_SHOWN_DIFFERENCES]
        context.console.print(runs_report.differences_table("Figures that differ", shown, ["stored", "now"]))
    return 1


def cancel(own: Words, context: Context, options: argparse.Namespace) -> int:
    with _opened(context) as (_, registry):
        run = _found(own, registry, options.id)
        if not registry.say(run.id, RunStatus.CANCELLED, Asker.CLI):
            stands = _found(own, registry, run.id).status.value
            raise CommandError(f"{run.id} is {stands}: only what waits or is computed can be cancelled")
    context.console.print(f"{run.id}: cancelled", highlight=False)
    return 0


def body_of(request: Mapping[str, Field], options: argparse.Namespace) -> dict[str, Any]:
    """What was said on the command line as the body of the API. Raises CommandError naming the option."""
    body: dict[str, Any] = {}
    for name, field in request.items():
        said = getattr(options, name)
        if said is None:
            continue
        if isinstance(field, Part):
            body[name] = dict(_pair(name, field, part) for part in said.split(",") if part)
        elif isinstance(field, Several):
            body[name] = [part.strip() for part in said.split(",") if part.strip()]
        elif isinstance(field, Number):
            body[name] = _number(f"--{name.replace('_', '-')}", field, said)
        else:
            body[name] = _object(name, said) if said.startswith("{") else said
    return body


def _pair(name: str, part: Part, said: str) -> tuple[str, Any]:
    key, equals, value = (word.strip() for word in said.partition("="))
    field = part.fields.get(key)
    if not equals or not isinstance(field, Number):
        raise CommandError(f"--{name}: write NAME=NUMBER with one of {', '.join(part.fields)}, not {said!r}")
    return key, _number(f"--{name}: {key}", field, value)


def _object(name: str, said: str) -> Any:
    try:
        return json.loads(said)
    except ValueError:
        raise CommandError(f"--{name.replace('_', '-')}: {said!r} is no JSON") from None


def _number(option: str, field: Number, said: str) -> float:
    try:
        return int(said) if field.whole else float(said)
    except ValueError:
        word = "a whole number" if field.whole else "a number"
        raise CommandError(f"{option}: must be {word} from {field.low:g} to {field.high:g}, not {said!r}") from None


def _as_option(field: str, message: str) -> str:
    return f"--{field.split('.')[0].replace('_', '-')}: {message}"


@contextmanager
def _opened(context: Context) -> Iterator[tuple[Workspace, Registry]]:
    """Workspace and registry of runs; libraries are loaded here, not before."""
    with warehouse_engine(context.settings) as engine, quiet.libraries():
        from orchestration.resources.runs import registry_of
        from orchestration.resources.workspace import Workspace

        workspace = Workspace.of(context.settings, engine.url.render_as_string(hide_password=False))
        try:
            yield workspace, registry_of(workspace.warehouse)
        finally:
            workspace.close()


def _found(own: Words, registry: Registry, name: str) -> StoredRun:
    run = registry.find(name)
    if run is None or run.kind is not own.kind:
        raise CommandError(f"there is no {own.noun} {name!r}: `ballast {own.name} list` shows what there is")
    return run


def _print(context: Context, run: StoredRun) -> None:
    for line in runs_report.run_lines(run):
        context.console.print(line, highlight=False, soft_wrap=True)
    if run.summary is not None:
        for table in runs_report.result_tables(run):
            context.console.print(table)


def _write(
    folder: Path, run: StoredRun, curve: Mapping[str, Any], trades: Mapping[str, Sequence[Mapping[str, Any]]]
) -> None:
    import pandas as pd

    courses = _bands(curve) if "bands" in curve else _courses(curve)
    rows = [{"strategy": name, **trade} for name, several in trades.items() for trade in several]
    document = {"id": run.id, "inputs": run.inputs, "summary": run.summary, "environment": run.environment}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "run.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
        if courses:
            pd.concat(map(pd.DataFrame, courses), ignore_index=True).to_parquet(folder / "curve.parquet", index=False)
        if rows:
            pd.DataFrame(rows).to_parquet(folder / "trades.parquet", index=False)
    except OSError as error:
        raise CommandError(f"--out: {folder} cannot be written ({error.strerror})") from error


def _courses(curve: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Columns of each strategy by day."""
    return [
        {"strategy": name, "day": [None, *curve["days"]], "equity": equity, "exposure": curve["exposure"][name]}
        for name, equity in curve.get("equity", {}).items()
    ]


def _bands(curve: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Columns of each strategy by day of the path: percentiles at each close, and the band that holds whole paths."""
    return [
        {
            "strategy": name,
            "day": curve["days"],
            **{f"p{percent}": row for percent, row in zip(curve["percents"], band["pointwise"], strict=True)},
            "low": band["low"],
            "high": band["high"],
        }
        for name, band in curve["bands"].items()
    ]
