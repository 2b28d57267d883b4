"""Processes: results come in the order of the tasks, an error arrives as it was raised, few rows start none."""

import os
import time
from datetime import UTC, datetime
from functools import partial

import pandas as pd
import pytest

from models.contracts.market import SeriesKind
from models.contracts.running import IN_TURN
from models.regimes.labels import known_regimes
from models.volatility.panel import build_panel
from models.volatility.walk_forward import walk_forward
from orchestration.workers import WORTH_PROCESSES, Processes, runner_for
from tests.orchestration.planted import coins


def _after(seconds: float, answer: int) -> tuple[int, int]:
    time.sleep(seconds)
    return answer, os.getpid()


def _fails() -> int:
    raise ValueError("series USDNGN has no rows")


def test_results_come_in_the_order_of_the_tasks_from_other_processes() -> None:
    found = Processes(2)([partial(_after, 0.2, 1), partial(_after, 0.0, 2), partial(_after, 0.0, 3)])
    assert [answer for answer, _ in found] == [1, 2, 3]
    assert os.getpid() not in {process for _, process in found}


def test_an_error_of_a_task_arrives_as_it_was_raised() -> None:
    with pytest.raises(ValueError, match="series USDNGN has no rows"):
        Processes(2)([partial(_after, 0.0, 1), _fails])


@pytest.mark.parametrize(
    ("rows", "workers", "processes"),
    [(WORTH_PROCESSES, 2, True), (WORTH_PROCESSES - 1, 2, False), (WORTH_PROCESSES, 1, False), (0, 8, False)],
)
def test_processes_are_for_panels_that_are_worth_them(rows: int, workers: int, processes: bool) -> None:
    run = runner_for(rows, workers)
    assert run == Processes(workers) if processes else run is IN_TURN


def test_a_walk_forward_in_processes_is_the_one_made_here_bit_for_bit() -> None:
    panel = build_panel(coins(datetime(2026, 3, 1, tzinfo=UTC), days=900), SeriesKind.CANDLES)
    run = Processes(2)
    here, there = (walk_forward(panel, SeriesKind.CANDLES, 1, run=where) for where in (IN_TURN, run))
    pd.testing.assert_frame_equal(here, there, check_exact=True)
    pd.testing.assert_frame_equal(known_regimes(panel), known_regimes(panel, run), check_exact=True)
