"""From probabilities to a label that does not flicker, and how long labels last."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.regimes.states import NO_STATE

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

ENTER = 0.6
LEAVE = 0.4


@njit(cache=True, nogil=True)
def _settle(support: FloatArray, enter: float, leave: float, none: int) -> tuple[IntArray, BoolArray]:
    n, k = support.shape
    labels, doubtful = np.full(n, none, dtype=np.int64), np.zeros(n, dtype=np.bool_)
    current = none
    for t in range(n):
        best = 0
        for j in range(1, k):
            if support[t, j] > support[t, best]:
                best = j
        if best != current and support[t, best] > enter and (current == none or support[t, current] < leave):
            current = best
        labels[t] = current
        doubtful[t] = current != none and support[t, current] < leave
    return labels, doubtful


def settle(support: FloatArray, enter: float = ENTER, leave: float = LEAVE) -> tuple[IntArray, BoolArray]:
    """Enter a state when its support is over `enter`, leave it only when its own has fallen below `leave`.

    Parameters
    ----------
    support : (n, k) probability of each state, or another measure in [0, 1]; no NaN

    Returns
    -------
    labels
        (n,) position of the state last entered, -1 before any; row t depends on rows up to t alone.
    doubtful : (n,) support of that state is below `leave`, and no other has been entered.
    """
    labels, doubtful = _settle(support, enter, leave, NO_STATE)
    return labels, doubtful


def spell_lengths(labels: IntArray) -> IntArray:
    """Lengths of the unbroken runs of equal labels in (n,), in order; the last one may go on."""
    if not len(labels):
        return np.zeros(0, dtype=np.int64)
    edges = np.flatnonzero(np.diff(labels)) + 1
    return np.diff(np.concatenate([[0], edges, [len(labels)]])).astype(np.int64)
