"""`ballast bench`: figures of this machine as JSON on stdout, progress on stderr."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from orchestration.local.commands.common import Context, Subparsers, leaf
from orchestration.local.progress import ConsoleProgress


def register(commands: Subparsers) -> None:
    leaf(commands, "bench", "figures of this machine as JSON (minutes, in a folder of its own)", bench)


def bench(context: Context, options: argparse.Namespace) -> int:
    from orchestration.local.bench import measure  # Dagster and all that it loads

    with tempfile.TemporaryDirectory(prefix="ballast-bench-", ignore_cleanup_errors=True) as folder:
        figures = measure(context.settings, Path(folder), ConsoleProgress(context.errors))
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    return 0
