"""`ballast bench`: figures of this machine as one JSON document on stdout; progress goes to stderr."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from types import FrameType

from orchestration.local.commands.common import CommandError, Context, Subparsers, leaf
from orchestration.local.progress import ConsoleProgress


def register(commands: Subparsers) -> None:
    parser = leaf(commands, "bench", "figures of this machine as JSON: ingest, hourly tick, memory, API", run)
    parser.add_argument("--quick", action="store_true", help="toy sizes: shows that it works, its figures say little")


def run(context: Context, options: argparse.Namespace) -> int:
    # Other commands need none of this.
    from orchestration.bench.http_load import LoadError
    from orchestration.local import bench
    from orchestration.local.measured import ChildFailed

    if options.market not in (None, "simulated"):
        raise CommandError("the bench plays the simulated market in a folder of its own: leave --market out")
    ended = signal.signal(signal.SIGTERM, _interrupt)  # a scratch server must not outlive a polite kill either
    try:
        size = bench.QUICK if options.quick else bench.FULL
        document = bench.bench(context.settings, size, ConsoleProgress(context.errors))
    except (ChildFailed, LoadError) as error:
        raise CommandError(f"the bench stopped: {error}") from error
    finally:
        signal.signal(signal.SIGTERM, ended)
    sys.stdout.write(json.dumps(document, indent=2) + "\n")
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
