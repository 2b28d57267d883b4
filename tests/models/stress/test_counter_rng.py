"""Philox against the published answers of its authors, the generator of numpy's name only, and chance itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit
from numpy.typing import NDArray
from scipy import stats

from models.stress.counter_rng import below, key_of, philox, uniform
from tests.models.stress import slow_paths

WORD = st.integers(0, 2**32 - 1)


@njit
def many(key: np.uint64, n: int) -> NDArray[np.float64]:
    out = np.empty(2 * n)
    for i in range(n):
        a, b, c, d = philox(key, np.uint64(i), np.uint64(0), np.uint64(7))
        out[2 * i], out[2 * i + 1] = uniform(a, b), uniform(c, d)
    return out


# From the test vectors published with the algorithm: counter, key, answer.
PUBLISHED = [
    ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


@pytest.mark.parametrize(("counter", "key", "answer"), PUBLISHED)
def test_published_answers(counter: list[int], key: list[int], answer: list[int]) -> None:
    whole_key, path = (np.uint64(low + (high << 32)) for low, high in (key, counter[2:]))
    found = philox(whole_key, np.uint64(counter[0]), np.uint64(counter[1]), path)
    assert [int(word) for word in found] == answer
    assert slow_paths.philox(int(whole_key), counter) == answer


@given(st.integers(0, 2**64 - 1), WORD, WORD, st.integers(0, 2**64 - 1))
def test_any_counter_as_in_plain_python(key: int, first: int, second: int, path: int) -> None:
    found = philox(np.uint64(key), np.uint64(first), np.uint64(second), np.uint64(path))
    assert [int(word) for word in found] == slow_paths.draw(key, first, second, path)


@pytest.mark.parametrize(
    ("high", "low", "value"),
    [(0, 0, 0.0), (2**31, 0, 0.5), (0, 2**11, 2.0**-53), (2**32 - 1, 2**32 - 1, 1.0 - 2.0**-53)],
)
def test_two_words_are_a_number_below_one(high: int, low: int, value: float) -> None:
    assert uniform(np.uint64(high), np.uint64(low)) == value


@given(WORD, st.integers(1, 2**32 - 1))
def test_a_word_below_a_bound(word: int, bound: int) -> None:
    assert int(below(np.uint64(word), np.uint64(bound))) == word * bound // 2**32 < bound


def test_draws_are_even_and_neighbours_do_not_know_each_other() -> None:
    draws = many(key_of(3, "test"), 100_000)
    assert stats.kstest(draws, "uniform").pvalue > 1e-3
    for lag in (1, 2, 3):
        assert abs(np.corrcoef(draws[lag:], draws[:-lag])[0, 1]) < 4 / np.sqrt(len(draws))
    cells = np.histogram2d(draws[::2], draws[1::2], bins=16, range=[[0, 1], [0, 1]])[0]
    assert stats.chisquare(cells.ravel()).pvalue > 1e-3


def test_keys_differ_by_seed_and_by_name() -> None:
    assert len({int(key_of(seed, name)) for seed in (1, 2, 12) for name in ("a", "b", "2/a")}) == 9
    assert key_of(1, "a") == key_of(1, "a")
