"""Commands that look after a set-up: doctor, migrate, dbt-parse, clean-state."""

from __future__ import annotations

import argparse
import shutil

from rich.markup import escape

from orchestration.dbt_command import parse, target_folder
from orchestration.local.commands.common import CommandError, Context, Subparsers, leaf
from orchestration.local.database import server_running, stop_server
from orchestration.local.doctor import Finding, examine
from orchestration.local.prepare import prepare
from orchestration.local.progress import ConsoleProgress
from orchestration.local.report import table_of
from orchestration.local.workspace import opened, running_stacks

_STYLE = {"ok": "green", "warn": "yellow", "fail": "red"}


def register(commands: Subparsers) -> None:
    leaf(commands, "doctor", "what is wrong with this set-up, and the way out", doctor)
    leaf(commands, "migrate", "bring the databases of this market to the newest schema", migrate)
    leaf(commands, "dbt-parse", "parse the dbt project and write its manifest", dbt_parse)
    clean = leaf(
        commands, "clean-state", "delete databases, models and logs of all markets of this state folder", clean_state
    )
    clean.add_argument("--yes", action="store_true", help="do not ask")


def doctor(context: Context, options: argparse.Namespace) -> int:
    findings = examine(context.settings)
    table = table_of(f"Set-up of market {context.settings.market.name}", ("", "what"))
    table.add_column("found", overflow="fold")
    for finding in findings:
        table.add_row(f"[{_STYLE[finding.verdict]}]{finding.verdict}[/]", finding.what, _told(finding))
    context.console.print(table)
    return 1 if any(finding.verdict == "fail" for finding in findings) else 0


def _told(finding: Finding) -> str:
    return escape(f"{finding.found} - {finding.way_out}" if finding.way_out else finding.found)


def migrate(context: Context, options: argparse.Namespace) -> int:
    with opened(context.settings) as databases:
        prepare(context.settings, databases, ConsoleProgress(context.console))
    context.console.print("The databases have the newest schema.")
    return 0


def dbt_parse(context: Context, options: argparse.Namespace) -> int:
    manifest = parse(target_folder(context.settings))
    context.console.print(f"The dbt project parses; manifest: {manifest}", highlight=False, soft_wrap=True)
    return 0


def clean_state(context: Context, options: argparse.Namespace) -> int:
    settings = context.settings
    if not settings.state_root.is_dir():
        context.console.print(f"Nothing to delete: {settings.state_root} does not exist")
        return 0
    if stacks := running_stacks(settings):
        raise CommandError(f"still up: {', '.join(stacks)}. `make down` first")
    if not options.yes and not _agreed(context):
        context.console.print("Nothing was deleted.")
        return 1
    if server_running(settings):
        stop_server(settings)
    try:
        shutil.rmtree(settings.state_root)
    except OSError as error:
        raise CommandError(f"{error.filename} cannot be deleted ({error.strerror})") from error
    context.console.print(f"Deleted {settings.state_root}", highlight=False, soft_wrap=True)
    return 0


def _agreed(context: Context) -> bool:
    if not context.console.is_terminal:
        raise CommandError("nobody to ask: add --yes to delete the state folder without asking")
    question = f"Delete {context.settings.state_root} with every database and model in it? [y/N] "
    return context.console.input(question).strip().lower() in ("y", "yes")
