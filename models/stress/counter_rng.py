"""Random numbers of a counter: compiled Philox 4x32-10 (Salmon, Moraes, Dror & Shaw 2011).

Every number is a function of its key and its place (stream, path, draw), not of what was drawn before it. So path i
draws the same whoever simulates it, in whatever share of the work, on however many threads.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numba import njit

MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
WEYL = (np.uint64(0x9E3779B9), np.uint64(0xBB67AE85))  # what each half of the key grows by in a round
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
ROUNDS = 10
TO_UNIT = 2.0**-53

Words = tuple[np.uint64, np.uint64, np.uint64, np.uint64]


def key_of(seed: int, name: str) -> np.uint64:
    """Key of one named use of a seed: another name or seed is an independent stream."""
    return np.uint64(int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8], "little"))


@njit(cache=True, nogil=True, inline="always")
def philox(key: np.uint64, first: np.uint64, second: np.uint64, path: np.uint64) -> Words:
    """Four words of 32 bits, held in 64.

    Parameters
    ----------
    key : 64 bits
    first, second : 32 bits each, the low words of the counter
    path : 64 bits, its high words
    """
    c0, c1, c2, c3 = first, second, path & LOW, path >> HALF
    k0, k1 = key & LOW, key >> HALF
    for _ in range(ROUNDS):
        a, b = MULTIPLIERS[0] * c0, MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (b >> HALF) ^ c1 ^ k0, b & LOW, (a >> HALF) ^ c3 ^ k1, a & LOW
        k0, k1 = (k0 + WEYL[0]) & LOW, (k1 + WEYL[1]) & LOW
    return c0, c1, c2, c3


@njit(cache=True, nogil=True, inline="always")
def uniform(high: np.uint64, low: np.uint64) -> float:
    """Two words as a number in [0, 1) with 53 bits."""
    return np.float64((high << np.uint64(21)) ^ (low >> np.uint64(11))) * TO_UNIT


@njit(cache=True, nogil=True, inline="always")
def below(word: np.uint64, bound: np.uint64) -> np.uint64:
    """One word as an integer in [0, bound), bound < 2^32; no value is likelier than another by more than
    bound / 2^32 of itself."""
    return (word * bound) >> HALF
