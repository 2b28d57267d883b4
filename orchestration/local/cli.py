"""The `ballast` command: one entry point; each command is a small module in `orchestration.local.commands`.

Errors that we know end as one line and exit code 2. Anything else is a defect: its traceback goes to a log file.
"""

from __future__ import annotations

import argparse
import sys
import traceback
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from orchestration.folders import logs
from orchestration.local.commands import (
    alerts,
    archive,
    backfill,
    backtest,
    backup,
    bench,
    data,
    decision,
    drift,
    keeper,
    keys,
    leaks,
    maintenance,
    metrics,
    models,
    play,
    reports,
    service,
    simulate,
    stack,
    tune,
    webhooks,
)
from orchestration.local.commands.common import EXPECTED, Command, Context
from orchestration.local.commands.keeper_chain import variables_of
from orchestration.local.failures import known
from orchestration.settings import Settings, current_settings

OK, DEFECT, EXPECTED_FAILURE, INTERRUPTED = 0, 1, 2, 130
_MODULES = (
    play, stack, reports, keeper, decision, models, backtest, simulate, tune, drift, backfill, data, leaks, alerts,
    keys, webhooks, metrics, maintenance, service, backup, archive, bench,
)  # fmt: skip
_PIPE_WIDTH = 120  # tables are laid out for it; a pipe has no width of its own


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ballast", description="Market data in, a scored vault out.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in _MODULES:
        module.register(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code: 0 done, 1 done with failures, 2 not possible, 130 interrupted."""
    options = build_parser().parse_args(arguments)
    console, errors = _console(stderr=False), _console(stderr=True)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # libraries about each other; `python -W` brings them back
    settings: Settings | None = None
    try:
        market = {"BALLAST_MARKET": options.market} if options.market else {}
        settings = current_settings(market | variables_of(options))
        command: Command = options.run
        return command(Context(settings, console, errors), options)
    except EXPECTED as error:
        errors.print(f"[red]ballast:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        return EXPECTED_FAILURE
    except KeyboardInterrupt:
        errors.print("ballast: interrupted. Nothing is half-written; run it again.")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the outermost frame: a person reads one line, the file has the rest
        expected = known(error, settings.state_root) if settings else None
        told = expected or _told(error, _write_log(settings))
        errors.print(f"[red]ballast:[/] {escape(told)}", highlight=False, soft_wrap=True)
        return EXPECTED_FAILURE if expected else DEFECT


def _console(stderr: bool) -> Console:
    # The stream of now, not of each moment: what libraries print while a market is played is sent elsewhere.
    file = sys.stderr if stderr else sys.stdout
    console = Console(file=file)
    return console if console.is_terminal else Console(file=file, width=_PIPE_WIDTH)


def _told(error: Exception, log: Path | None) -> str:
    first = str(error).split("\n", 1)[0][:300]
    where = f"Details: {log}" if log else "Details could not be written: the state folder is not writable"
    return f"unexpected {type(error).__name__}: {first}. {where}"


def _write_log(settings: Settings | None) -> Path | None:
    """The current traceback as a file; None when even that is not possible."""
    if settings is None:
        return None
    path = logs(settings) / f"error-{datetime.now(UTC):%Y%m%dT%H%M%S}.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(traceback.format_exc(), encoding="utf-8")
    except OSError:
        return None
    return path


if __name__ == "__main__":
    raise SystemExit(main())
