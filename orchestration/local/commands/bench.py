"""`ballast bench`: figures of this machine as one JSON document on stdout; progress goes to stderr."""

from __future__ import annotations

import argparse
import signal
import sys
from types import FrameType

from orchestration.local.commands.common import CommandError, Context, Subparsers, leaf
from orchestration.local.progress import ConsoleProgress


def register(commands: Subparsers) -> None:
    parser = leaf(commands, "bench", "figures of this machine as JSON: ingest, hourly tick, memory, API", run)
    parser.add_argument("--quick", action="store_true", help="toy sizes: shows that it works, its figures say little")


def run(context: Context, options: argparse.Namespace) -> int:
    """Exit code 1 when a stage failed: the document says which and why, and holds the figures of the others."""
    # Other commands need none of this.
    from orchestration.bench.document import written
    from orchestration.local.bench import bench
    from orchestration.local.bench_conductor import FULL, QUICK

    if options.market not in (None, "simulated"):
        raise CommandError("the bench plays the simulated market in a folder of its own: leave --market out")
    ended = signal.signal(signal.SIGTERM, _interrupt)  # a scratch server must not outlive a polite kill either
    try:
        document = bench(context.settings, QUICK if options.quick else FULL, ConsoleProgress(context.errors))
    finally:
        signal.signal(signal.SIGTERM, ended)
    sys.stdout.write(written(document))
    return 1 if document["failures"] else 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
