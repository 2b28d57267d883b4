"""`ballast run`: the whole asset graph once, then the table."""

from __future__ import annotations

import argparse

from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from orchestration.dbt_command import target_folder
from orchestration.dbt_deploy import is_deployed
from orchestration.local import report, stack
from orchestration.local.commands.common import CommandError, Context, Subparsers, leaf
from orchestration.local.database import Databases
from orchestration.local.prepare import prepare
from orchestration.local.progress import ConsoleProgress, Progress
from orchestration.local.workspace import held, opened
from orchestration.settings import Settings


def register(commands: Subparsers) -> None:
    leaf(commands, "run", "play the whole asset graph once: ingest, check, train, score, keeper", run)


def run(context: Context, options: argparse.Namespace) -> int:
    settings = context.settings
    with held(settings):
        if stack.is_running(settings.workspace):
            raise CommandError("the stack of this market is up and plays it by schedule: `make down` first")
        progress = ConsoleProgress(context.console)
        with opened(settings) as databases:
            prepare(settings, databases, progress)
            code = play_once(settings, databases, progress)
            engine = create_engine(databases.ballast, poolclass=NullPool)
            report.render(settings, engine, context.console)
            engine.dispose()
    return code


def play_once(settings: Settings, databases: Databases, progress: Progress) -> int:
    """Exit code: 0 when every stage succeeded, 1 otherwise (each failure was told as it happened).

    Raises CommandError when the market cannot be opened at all.
    """
    # Dagster and all that it loads: seconds that other commands need not pay.
    from orchestration.local.devnet_process import DevnetDown
    from orchestration.local.play import play
    from orchestration.sources.errors import ProviderError
    from orchestration.sources.replay import ReplayError
    from orchestration.sources.replay_files import ReplayFileError
    from orchestration.sources.simulated import SimulationError

    try:
        result = play(settings, progress)
    except (DevnetDown, ProviderError, ReplayError, ReplayFileError, SimulationError) as error:
        raise CommandError(str(error)) from error
    return 0 if result.ok else 1


def deploy_once(settings: Settings, databases: Databases, progress: Progress) -> bool:
    """Views of the installed software in a market that was played before; False when they could not be made."""
    with create_engine(databases.ballast, poolclass=NullPool).connect() as connection:
        if is_deployed(connection, target_folder(settings)):
            return True
    progress.note("the views of this market are missing or of another version: made anew")
    from orchestration.local.play import deploy  # Dagster, as above

    return deploy(settings, progress)
