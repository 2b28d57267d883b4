"""`ballast backup` and `ballast restore`: a market in one file, and back again."""

from __future__ import annotations

import argparse
import getpass
from datetime import UTC, datetime
from pathlib import Path

from orchestration.local import stack
from orchestration.local.backup.manifest import BackupError, Manifest
from orchestration.local.backup.restoring import restore as put_back
from orchestration.local.backup.taking import take, target_file
from orchestration.local.commands.common import CommandError, Context, Subparsers, leaf, require_migrated
from orchestration.local.progress import ConsoleProgress
from orchestration.local.workspace import held, opened


def register(commands: Subparsers) -> None:
    made = leaf(commands, "backup", "databases, models and artefacts of this market in one file; no keys", backup)
    made.add_argument("target", metavar="DIR-or-FILE", type=Path, help="a folder (the file gets a name) or a new file")
    back = leaf(commands, "restore", "put a backup in the place of this market; its keeper is halted then", restore)
    back.add_argument("source", metavar="FILE", type=Path, help="a file that `ballast backup` made")
    back.add_argument("--replace", action="store_true", help="also when this market holds data, which is then deleted")
    back.add_argument("--by", metavar="NAME", help="who (default: the user of this process)")


def backup(context: Context, options: argparse.Namespace) -> int:
    """May run while the stack is up: what is written meanwhile is in the next one."""
    settings, now = context.settings, datetime.now(UTC)
    try:
        target = target_file(settings, options.target, now)
        with opened(settings) as databases:
            require_migrated(settings, databases)
            manifest = take(settings, databases, target, now)
    except OSError as error:
        raise CommandError(f"{options.target} cannot be written ({error.strerror}): nothing is left of it") from error
    except BackupError as error:
        raise CommandError(str(error)) from error
    size = target.stat().st_size / 1e6
    context.console.print(f"{target}: {size:,.1f} MB, {_held(manifest)}", highlight=False, soft_wrap=True)
    context.console.print("Not in it, keep them elsewhere:", highlight=False)
    for what in manifest.kept_elsewhere:
        context.console.print(f"  {what}", highlight=False, soft_wrap=True)
    return 0


def restore(context: Context, options: argparse.Namespace) -> int:
    settings, by = context.settings, options.by or getpass.getuser()
    if stack.is_running(settings.workspace):
        raise CommandError("this market is up: `ballast down` first, then restore")
    progress = ConsoleProgress(context.console)
    try:
        with held(settings), opened(settings) as databases:
            manifest = put_back(settings, databases, options.source, options.replace, by, progress.note)
    except OSError as error:
        raise CommandError(f"{error.filename} cannot be used ({error.strerror}): nothing was changed") from error
    except BackupError as error:
        raise CommandError(str(error)) from error
    context.console.print(f"Restored: {_held(manifest)}, made {manifest.made_at}", highlight=False, soft_wrap=True)
    context.console.print(
        "The keeper is halted. Next: put keys and settings back, `ballast migrate`, then `ballast keeper resume "
        "REASON`: it compares this memory with the chain first",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    return 0


def _held(manifest: Manifest) -> str:
    rows = sum(sum(dump.tables.values()) for dump in manifest.dumps.values())
    return f"{rows:,} rows in {len(manifest.dumps)} databases, {len(manifest.files) - len(manifest.dumps)} files"
