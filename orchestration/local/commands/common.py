"""What every command shares: its context, the `--market` option, errors that end as one line."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool

from orchestration import quiet
from orchestration.dbt_command import DbtError
from orchestration.folders import artifacts
from orchestration.local.database import Databases, workspace_databases
from orchestration.local.environment import library_environment
from orchestration.local.locks import Busy
from orchestration.local.stack import StackError
from orchestration.local.workspace import opened
from orchestration.migrations.run import current_revision, newest_revision
from orchestration.resources.database_errors import DatabaseError
from orchestration.resources.database_url import DatabaseUrlError
from orchestration.settings import Settings, SettingsError, export
from orchestration.universe import UniverseError

if TYPE_CHECKING:
    from orchestration.resources.model_registry import ModelRegistry
    from orchestration.resources.workspace import Workspace


class CommandError(RuntimeError):
    """The command cannot do what was asked; the message says what to do instead."""


# Each of these carries one sentence with a way out. Anything else is a defect and gets a log file.
EXPECTED = (
    SettingsError, UniverseError, DatabaseError, DatabaseUrlError, DbtError, StackError, Busy, CommandError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Context:
    """`console` takes results (stdout), `errors` takes complaints (stderr)."""

    settings: Settings
    console: Console
    errors: Console


Command = Callable[[Context, argparse.Namespace], int]


class Subparsers(Protocol):
    """What `ArgumentParser.add_subparsers` returns, as far as it is used here."""

    def add_parser(self, name: str, *, help: str, description: str) -> argparse.ArgumentParser: ...


def leaf(commands: Subparsers, name: str, description: str, run: Command) -> argparse.ArgumentParser:
    """Add one command; it answers to `--market`."""
    parser = commands.add_parser(name, help=description, description=description)
    parser.add_argument(
        "--market", metavar="MARKET", help="simulated, replay:DIR or live (default: BALLAST_MARKET, then simulated)"
    )
    parser.set_defaults(run=run)
    return parser


def branch(commands: Subparsers, name: str, description: str) -> Subparsers:
    """Add a word that takes another word: `ballast models list`."""
    parser = commands.add_parser(name, help=description, description=description)
    return parser.add_subparsers(metavar="COMMAND", required=True)


@contextmanager
def warehouse_engine(settings: Settings) -> Iterator[Engine]:
    """An engine on this market's database for commands that read. Raises CommandError before the first run."""
    if settings.database_url is None and not settings.workspace.is_dir():
        raise _never_played(settings)  # before a server is made for nothing
    with opened(settings) as databases:
        require_migrated(settings, databases)
        engine = create_engine(databases.ballast, poolclass=NullPool)
        try:
            yield engine
        finally:
            engine.dispose()


def require_migrated(settings: Settings, databases: Databases) -> None:
    try:
        found = current_revision(databases.ballast)
    except DatabaseError as error:
        if "does not exist" not in str(error):
            raise
        found = None
    if found is None:
        raise _never_played(settings)
    if found != newest_revision():
        raise CommandError(
            f"the database has schema {found}, this version needs {newest_revision()}: `ballast migrate`"
        )


def _never_played(settings: Settings) -> CommandError:
    return CommandError(
        f"market {settings.market.name} has no data yet: run `make run MARKET={settings.market.name}` first"
    )


@contextmanager
def desk(context: Context) -> Iterator[tuple[Workspace, ModelRegistry]]:
    """Workspace and registry of this market, for commands that compute. Libraries are loaded here, not before."""
    settings = context.settings
    with warehouse_engine(settings), quiet.libraries():
        databases = workspace_databases(settings)
        export(library_environment(settings, databases))
        from orchestration.resources.model_registry import ModelRegistry
        from orchestration.resources.workspace import Workspace

        workspace = Workspace.of(settings, databases.ballast)
        registry = ModelRegistry(tracking_uri=databases.mlflow, artifact_root=str(artifacts(settings)))
        try:
            yield workspace, registry
        finally:
            workspace.close()
