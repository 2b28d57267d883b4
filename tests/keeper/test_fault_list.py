"""Every number of the fault list has a test that exists; and the crash matrix runs."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from tests.keeper.crash_matrix import naive_doubles, run
from tests.keeper.fault_list import FAULTS

HERE = Path(__file__).parent


def test_no_number_is_missing() -> None:
    assert sorted(FAULTS) == list(range(1, 44))


@pytest.mark.parametrize("number", sorted(FAULTS))
def test_the_tests_exist(number: int) -> None:
    for name in FAULTS[number]:
        file, test = name.split("::")
        found = {node.name for node in ast.parse((HERE / file).read_text()).body if isinstance(node, ast.FunctionDef)}
        assert test in found, name


def test_a_part_of_the_crash_matrix(database_url: str, tmp_path: Path) -> None:
    engine = create_engine(database_url)
    try:
        figures = run(engine, tmp_path, ticks=100, seed=7)
        doubles = naive_doubles(engine, tmp_path, 2)
    finally:
        engine.dispose()
    assert figures.problems == []
    assert figures.double_applications == 0
    assert sum(figures.kills.values()) > 5  # the fuses blow
    assert doubles == 2  # the same faults make a naive sender apply twice
