"""`ballast simulate`: what `kept_runs` offers for every kind of run, and the library of scenarios."""

from __future__ import annotations

import argparse

from models.contracts.runs import RunKind
from models.stress.request import REQUEST
from orchestration.local import runs_report
from orchestration.local.commands.common import Context, Subparsers, leaf
from orchestration.local.commands.kept_runs import Words, add_words


def register(commands: Subparsers) -> None:
    about = "what may become of a vault on drawn paths, with shocks and scenarios"
    words = add_words(commands, Words(RunKind.SIMULATION, "simulate", about, REQUEST))
    leaf(words, "scenarios", "dated events that a simulation can meet", show_scenarios)


def show_scenarios(context: Context, options: argparse.Namespace) -> int:
    from models.stress.scenario_library import SCENARIOS

    context.console.print(runs_report.scenarios_table(SCENARIOS.values()))
    return 0
