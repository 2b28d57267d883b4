"""Forward passes of the three sequence networks in plain numpy: scoring must not wait for torch to be imported.

Here belong their first weights, what they make of a window, and which input moved it. Training them is in
`models.volatility.sequence_training`, what enters a window in `models.volatility.sequence_forecaster`.

A window is (T, k): T = `WINDOW` days, oldest first, k inputs standardised so that zero is the mean of the training
rows. A network maps it to one logarithmic correction. Weights are float32 in torch's layout, sums are float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Weights = Mapping[str, NDArray[np.float32]]

WINDOW = 32  # days: a month, and the reach of five doublings
HIDDEN = 16
GATES = {"gru": 3, "lstm": 4}  # rows of a recurrent weight matrix, in multiples of HIDDEN
LEVELS = 5  # of the convolution: 2^LEVELS = WINDOW
LIMIT = 2.0  # a correction stays within a factor e^2 of the base, whatever the inputs
PATH_POINTS = (24, 72, 216, 648)  # Gauss-Legendre nodes of the attribution path: more where gates turn sharply ...
COMPLETE = 1e-7  # ... until the parts sum to the whole so closely
DIFFERENCE = 1e-4  # step of its central differences


def first_weights(cell: str, inputs: int, rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    """Weights before training: uniform within 1 / sqrt(fan in) as in torch, the head zero, so the correction is 0.

    Raises
    ------
    KeyError
        `cell` is not one of `CELLS`.
    """
    return {
        name: (rng.uniform(-bound, bound, shape) if bound else np.zeros(shape)).astype(np.float32)
        for name, (shape, bound) in _shapes(cell, inputs).items()
    }


def _shapes(cell: str, inputs: int) -> dict[str, tuple[tuple[int, ...], float]]:
    """Shape and initial bound of every weight."""
    bound = HIDDEN**-0.5
    shapes: dict[str, tuple[tuple[int, ...], float]] = {}
    if cell in GATES:
        rows = GATES[cell] * HIDDEN
        shapes["weight_ih"], shapes["weight_hh"] = ((rows, inputs), bound), ((rows, HIDDEN), bound)
        shapes["bias_ih"] = shapes["bias_hh"] = ((rows,), bound)
    elif cell in CELLS:
        for level in range(LEVELS):
            width = 2 * (HIDDEN if level else inputs)
            shapes[f"weight_{level}"], shapes[f"bias_{level}"] = ((HIDDEN, width), width**-0.5), ((HIDDEN,), 0.0)
    else:
        raise KeyError(f"there is no cell named {cell!r}: choose from {', '.join(CELLS)}")
    shapes["head_weight"], shapes["head_bias"] = ((1, HIDDEN), 0.0), ((1,), 0.0)
    return shapes


def correction(cell: str, weights: Weights, windows: FloatArray) -> FloatArray:
    """What one network adds to the logarithm of the base: (n, T, k) -> (n,), within +-LIMIT."""
    exact = {name: value.astype(np.float64) for name, value in weights.items()}
    state = CELLS[cell](exact, windows)
    return np.asarray(LIMIT * np.tanh((state @ exact["head_weight"][0] + exact["head_bias"][0]) / LIMIT))


def _gru(weights: Mapping[str, FloatArray], windows: FloatArray) -> FloatArray:
    """Gated recurrent unit (Cho et al. 2014), reset gate after the product as in torch; (n, T, k) -> (n, H)."""
    state = np.zeros((len(windows), HIDDEN))
    entering = windows @ weights["weight_ih"].T + weights["bias_ih"]
    for day in range(windows.shape[1]):
        reset_in, update_in, new_in = np.split(entering[:, day], 3, axis=1)
        reset_own, update_own, new_own = np.split(state @ weights["weight_hh"].T + weights["bias_hh"], 3, axis=1)
        update = _sigmoid(update_in + update_own)
        new = np.tanh(new_in + _sigmoid(reset_in + reset_own) * new_own)
        state = new + update * (state - new)
    return state


def _lstm(weights: Mapping[str, FloatArray], windows: FloatArray) -> FloatArray:
    """Long short-term memory (Hochreiter & Schmidhuber 1997) with a forget gate; (n, T, k) -> (n, H)."""
    state, memory = np.zeros((2, len(windows), HIDDEN))
    entering = windows @ weights["weight_ih"].T + weights["bias_ih"] + weights["bias_hh"]
    for day in range(windows.shape[1]):
        let_in, forget, new, out = np.split(entering[:, day] + state @ weights["weight_hh"].T, 4, axis=1)
        memory = _sigmoid(forget) * memory + _sigmoid(let_in) * np.tanh(new)
        state = _sigmoid(out) * np.tanh(memory)
    return state


def _tcn(weights: Mapping[str, FloatArray], windows: FloatArray) -> FloatArray:
    """Dilated causal convolutions of width two with residuals (Bai, Kolter & Koltun 2018); (n, T, k) -> (n, H).

    Only the nodes that reach the last output are computed: at every level the pairs of neighbours that are left.
    """
    state = windows
    for level in range(LEVELS):
        pairs = state.reshape(len(state), -1, 2 * state.shape[2])
        found = np.tanh(pairs @ weights[f"weight_{level}"].T + weights[f"bias_{level}"])
        state = found + pairs[:, :, HIDDEN:] if level else found  # the later of the two
    return np.asarray(state[:, 0])


CELLS: dict[str, Callable[[Mapping[str, FloatArray], FloatArray], FloatArray]] = {
    "gru": _gru,
    "lstm": _lstm,
    "tcn": _tcn,
}


def attribution(network: Callable[[FloatArray], FloatArray], window: FloatArray) -> FloatArray:
    """What each input column adds, summed over the days: (T, k) -> (k,), together network(window) - network(0).

    Integrated gradients (Sundararajan, Taly & Yan 2017) along the straight path from the neutral window, which is
    all zeros, by central differences at Gauss-Legendre nodes.
    """
    ends = network(np.stack([window, np.zeros_like(window)]))
    parts = np.zeros(window.shape[1])
    for points in PATH_POINTS:
        parts = _path_integral(network, window, points)
        if abs(parts.sum() - (ends[0] - ends[1])) < COMPLETE:
            break
    return parts


def _path_integral(network: Callable[[FloatArray], FloatArray], window: FloatArray, points: int) -> FloatArray:
    nodes, node_weights = np.polynomial.legendre.leggauss(points)
    columns = window * np.eye(window.shape[1])[:, None, :]  # (k, T, k): one column each, zero elsewhere
    steps = np.concatenate([DIFFERENCE * columns, -DIFFERENCE * columns])
    slopes = [network(place * window + steps).reshape(2, -1) for place in (nodes + 1) / 2]
    return np.asarray(node_weights / 2 @ [(ahead - behind) / (2 * DIFFERENCE) for ahead, behind in slopes])


def _sigmoid(x: FloatArray) -> FloatArray:
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * x))  # this form cannot overflow
