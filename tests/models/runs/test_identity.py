"""Hashes change with what they stand for, and with nothing else; differences name the leaf."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.contracts.runs import RunKind
from models.runs.compare import Difference, differences
from models.runs.identity import SOURCES, code_hash, digest_of, digest_of_arrays, identify


def test_the_order_of_keys_does_not_count() -> None:
    assert digest_of({"a": 1, "b": [2.5, None]}) == digest_of({"b": [2.5, None], "a": 1})
    assert digest_of([1, 2]) != digest_of([2, 1])
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest_of({"a": float("nan")})


@pytest.mark.parametrize(
    "other",
    [{"x": np.array([1.0, 2.5])}, {"y": np.array([1.0, 2.0])}, {"x": np.array([[1.0, 2.0]])}, {"x": np.array([1, 2])}],
)
def test_arrays_differ_by_name_type_shape_and_content(other: dict[str, np.ndarray]) -> None:
    own = digest_of_arrays(x=np.array([1.0, 2.0]))
    assert own == digest_of_arrays(x=np.array([1.0, 0.0, 2.0])[::2])
    assert own != digest_of_arrays(**other)


def test_every_source_counts(tmp_path: Path) -> None:
    seen = set()
    for folder in SOURCES[RunKind.BACKTEST]:
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "a.py").write_text(folder)
        code_hash.cache_clear()
        seen.add(code_hash(RunKind.BACKTEST, tmp_path))
    (tmp_path / "models/backtest/a.py").write_text("changed")
    code_hash.cache_clear()
    seen.add(code_hash(RunKind.BACKTEST, tmp_path))
    code_hash.cache_clear()
    assert len(seen) == len(SOURCES[RunKind.BACKTEST]) + 1


def test_an_id_rests_on_kind_inputs_and_data() -> None:
    own = identify(RunKind.BACKTEST, {"a": 1}, "d")
    others = [identify(RunKind.SIMULATION, {"a": 1}, "d"), identify(RunKind.BACKTEST, {"a": 2}, "d"),
              identify(RunKind.BACKTEST, {"a": 1}, "e")]  # fmt: skip
    assert own == identify(RunKind.BACKTEST, {"a": 1}, "d")
    assert len({own.id, *(other.id for other in others)}) == 4
    assert own.id.startswith("backtest-")


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, [Difference("a.c", (2, 3))]),
        ({"a": [1, 2]}, {"a": [1, 2, 3]}, [Difference("a.2", (None, 3))]),
        ({"a": 1}, {"b": 1}, [Difference("b", (None, 1)), Difference("a", (1, None))]),
        ({"a": None}, {}, [Difference("a", (None, None))]),
        ({"a": [1]}, {"a": 1}, [Difference("a", ([1], 1))]),
    ],
)
def test_differences_name_the_leaf(one: object, other: object, found: list[Difference]) -> None:
    assert differences([one, other]) == found
