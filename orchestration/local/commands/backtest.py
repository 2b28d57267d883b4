"""`ballast backtest`: what `kept_runs` offers for every kind of run."""

from __future__ import annotations

from models.backtest.request import REQUEST
from models.contracts.runs import RunKind
from orchestration.local.commands.common import Subparsers
from orchestration.local.commands.kept_runs import Words, add_words


def register(commands: Subparsers) -> None:
    add_words(commands, Words(RunKind.BACKTEST, "backtest", "what a vault would have done and earned", REQUEST))
