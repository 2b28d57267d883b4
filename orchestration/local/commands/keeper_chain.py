"""What the keeper's commands share: vaults by name, and a vault connected to its chain for the length of a block."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.markup import escape
from sqlalchemy import Engine, text

from models.contracts.tables import OPS_VAULTS
from orchestration.configuration.keeper import RPC_URLS
from orchestration.local.commands.common import CommandError, Context, warehouse_engine
from orchestration.settings import SettingsError, export

if TYPE_CHECKING:
    from keeper.connection import Connection
    from keeper.golive import Check
    from keeper.keeper import Keeper
    from keeper.limits import Phase
    from models.contracts.vault import VaultConfig
    from orchestration.resources.vault_chain import VaultChain
    from orchestration.resources.workspace import Workspace

BY_COMMAND = "command line"  # run id of decisions that no Dagster run made


@dataclass(frozen=True)
class Kept:
    """A vault on its chain, with the workspace it is kept in."""

    workspace: Workspace
    vault: VaultConfig
    connection: Connection
    keeper: Keeper
    refused: tuple[Check, ...]


def nodes_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rpc-url", action="append", metavar="URL", dest="rpc_urls",
        help=f"a node of the network, instead of {RPC_URLS}; may be given several times. Others can read the command "
        "line: an address with a key belongs into the variable or its file",
    )  # fmt: skip


def variables_of(options: argparse.Namespace) -> dict[str, str]:
    """The settings that options of a command stand for."""
    urls = getattr(options, "rpc_urls", None)
    return {RPC_URLS: ",".join(urls)} if urls else {}


def on_each(context: Context, wanted: str | None, act: Callable[[Kept], bool], phase: Phase | None = None) -> int:
    """Act on every kept vault, or the one that is wanted. Exit code 1 if an act was not good.

    A phase whose checks fail is told, and the vault kept in shadow.
    """
    from keeper.connection import ChainUnavailable
    from orchestration.resources.vault_chain import NOT_CONFIGURED

    good = True
    with _chain(context, wanted) as (workspace, chain):
        vaults = workspace.vaults()
        for vault in vaults:
            if wanted not in (None, vault.id):
                continue
            if not chain.is_served(vault):
                told = f"network {vault.network} has no address configured, left alone"
                context.errors.print(f"{escape(vault.id)}: {told}", highlight=False)
                continue
            try:
                with chain.kept(vault, workspace.warehouse, BY_COMMAND, len(vaults), phase) as kept:
                    for check in kept.refused:
                        told = f"kept in shadow, {phase or chain.phase} is refused: {check.name}: {check.told}"
                        context.errors.print(f"{escape(vault.id)}: {escape(told)}", highlight=False)
                    good &= act(Kept(workspace, vault, kept.connection, kept.keeper, kept.refused))
            except SettingsError:
                raise
            except (ChainUnavailable, *NOT_CONFIGURED) as error:
                raise CommandError(f"vault {vault.id}: {error}") from error
    return 0 if good else 1


def known_vaults(engine: Engine, wanted: str | None) -> list[str]:
    with engine.connect() as connection:
        vaults = [str(row.id) for row in connection.execute(text(f"select id from {OPS_VAULTS} order by id"))]
    if wanted is None:
        return vaults
    if wanted not in vaults:
        raise CommandError(f"--vault: there is no vault {wanted}: one of {', '.join(vaults) or 'none yet'}")
    return [wanted]


@contextmanager
def _chain(context: Context, wanted: str | None) -> Iterator[tuple[Workspace, VaultChain]]:
    """Workspace and chain, with a devnet that is started if one is needed and none runs. Libraries are loaded here."""
    from orchestration.local.devnet_process import DevnetDown, running_devnet
    from orchestration.local.progress import ConsoleProgress
    from orchestration.resources.vault_chain import VaultChain
    from orchestration.resources.workspace import Workspace

    with warehouse_engine(context.settings) as engine:
        if not known_vaults(engine, wanted):  # before a devnet is started for nothing
            raise CommandError("no vault of the universe can be priced in this market: `ballast universe check`")
        urls = context.settings.keeper.rpc_urls
        if urls:  # also those of the command line: whoever reads the settings anew reads the environment
            export({RPC_URLS: ",".join(url.reveal() for url in urls)})
        workspace = Workspace.of(context.settings, engine.url.render_as_string(hide_password=False))
        chain = VaultChain.of(context.settings)
        try:
            needed = any(chain.on_devnet(vault) for vault in workspace.vaults() if wanted in (None, vault.id))
            progress = ConsoleProgress(context.errors)
            with running_devnet(context.settings, progress) if needed else nullcontext():
                yield workspace, chain
        except DevnetDown as error:
            raise CommandError(str(error)) from error
        finally:
            workspace.close()
