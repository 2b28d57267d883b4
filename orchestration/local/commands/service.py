"""`ballast service NAME` and `ballast exec`: one process of the stack in the foreground, for containers and systemd.

There something else watches the processes, and the database is an outside one: nothing is embedded.
"""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime

from orchestration.local import market_clock
from orchestration.local.commands.common import CommandError, Context, Subparsers, leaf
from orchestration.local.commands.stack import make_servable
from orchestration.local.database import ensure_server, workspace_databases
from orchestration.local.environment import library_environment
from orchestration.local.prepare import make_folders, prepare
from orchestration.local.progress import ConsoleProgress
from orchestration.local.services import service_table
from orchestration.local.workspace import held
from orchestration.settings import Settings, child_environment

PREPARE = "prepare"
NAMES = (PREPARE, "devnet", "api", "dagster-code", "mlflow", "dagster", "dagster-daemon")


def register(commands: Subparsers) -> None:
    one = leaf(commands, "service", "one process of the stack in the foreground, for containers and systemd", service)
    one.add_argument("name", choices=NAMES, metavar="NAME", help=f"one of {', '.join(NAMES)}; `prepare` ends when done")
    other = leaf(commands, "exec", "a program with the variables of this market: its databases and folders", execute)
    other.add_argument("program", nargs=argparse.REMAINDER, metavar="-- PROGRAM ...")


def service(context: Context, options: argparse.Namespace) -> int:
    """`prepare` migrates, plays a market that never was and starts its clock; any other name becomes that process."""
    settings = context.settings
    _require_server(settings)
    if options.name == PREPARE:
        return _prepare(context)
    (found,) = (item for item in service_table(settings) if item.name == options.name)
    return _become(settings, found.argv)


def execute(context: Context, options: argparse.Namespace) -> int:
    """Become a program; what is prepared already is not prepared again."""
    _require_server(context.settings)
    program = options.program[1:] if options.program[:1] == ["--"] else options.program
    if not program:
        raise CommandError("PROGRAM: name what to run, after two hyphens: ballast exec -- dagster run list")
    return _become(context.settings, program)


def _require_server(settings: Settings) -> None:
    if settings.database_url is None:
        raise CommandError(
            "DATABASE_URL: is not set; processes that are started one by one meet on a server of their own. "
            "`ballast up` starts everything with an embedded one"
        )


def _prepare(context: Context) -> int:
    settings, progress = context.settings, ConsoleProgress(context.console)
    with held(settings):
        databases = workspace_databases(settings, ensure_server(settings).base_url)
        prepare(settings, databases, progress)
        make_servable(settings, databases, progress)
        market_clock.start_clock(databases.ballast, datetime.now(UTC), settings.clock_speed)
    context.console.print("Prepared: the services may start.")
    return 0


def _become(settings: Settings, argv: list[str] | tuple[str, ...]) -> int:
    """Does not return: signals and the exit code are then the program's own."""
    make_folders(settings)
    environment = child_environment(library_environment(settings, workspace_databases(settings)))
    try:
        os.execvpe(argv[0], list(argv), environment)
    except OSError as error:
        raise CommandError(f"{argv[0]} cannot be started ({error.strerror})") from error
