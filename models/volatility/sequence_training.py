"""Training of the sequence networks: the only file that imports torch, and only while it trains.

Loss is QLIKE of the corrected forecast (Patton 2011). Every network runs on one thread: small matrices gain nothing
from more, and the bits would depend on their number. First weights, the order of the rows and what is dropped come
from a numpy generator, so torch's own seeds play no part.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.volatility.sequence_networks import GATES, HIDDEN, LEVELS, LIMIT, WINDOW, Weights, first_weights

LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-2
GRADIENT_NORM = 1.0
BATCH_ROWS = 512
MAX_EPOCHS = 12
PATIENCE = 3  # epochs without a better validation loss before training ends
# Days of one date resemble each other across a panel: far fewer rows than are counted. Without these a network learns
# its panel's past by heart and loses to its base on newer rows.
INPUT_DROPOUT = 0.2  # share of a row's columns that are blanked for all days of its window
STATE_DROPOUT = 0.4
AVERAGING = 0.98  # what is judged and kept is this running mean of the weights


@dataclass(frozen=True)
class Sample:
    """Rows to learn from.

    `days` (N, k) float32: standardised days of all series, one below the other; `ends` (m,): last day of each window
    in it; `ratios` (m,) float32: outcome / base forecast, > 0.
    """

    days: NDArray[np.float32]
    ends: NDArray[np.int64]
    ratios: NDArray[np.float32]


def train(cell: str, learn: Sample, check: Sample, seed: int) -> Weights:
    """Weights with the lowest QLIKE on `check` after any epoch; the first weights, which change nothing, if none is."""
    torch = _torch()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rng = np.random.default_rng(seed)
    initial = first_weights(cell, learn.days.shape[1], rng)
    forward, weights = _network(torch, cell, initial, device)
    steady_forward, steady = _network(torch, cell, initial, device)  # the running mean
    optimiser = torch.optim.AdamW(list(weights.values()), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    days, ends, ratios = (torch.as_tensor(values, device=device) for values in (learn.days, learn.ends, learn.ratios))
    checked = [torch.as_tensor(values, device=device) for values in (check.ends, check.ratios)]
    back = torch.arange(1 - WINDOW, 1, device=device)[:, None]

    def kept(rows: int, columns: int, dropout: float) -> Any:
        there = (rng.random((rows, columns)) >= dropout) / (1.0 - dropout)
        return torch.as_tensor(there.astype(np.float32), device=device)

    def learn_from(rows: NDArray[np.int64]) -> None:
        batch = torch.as_tensor(rows, device=device)
        windows = days[ends[batch] + back] * kept(len(rows), days.shape[1], INPUT_DROPOUT)
        added = forward(windows, kept(len(rows), HIDDEN, STATE_DROPOUT))
        optimiser.zero_grad()
        _qlike(torch, ratios[batch], added).backward()
        torch.nn.utils.clip_grad_norm_(list(weights.values()), GRADIENT_NORM)
        optimiser.step()

    def judged() -> float:
        with torch.no_grad():
            return float(_qlike(torch, checked[1], steady_forward(days[checked[0] + back], 1.0)))

    best, found, waited, steps = judged(), initial, 0, 0
    for _ in range(MAX_EPOCHS):
        for rows in np.array_split(rng.permutation(len(ends)), math.ceil(len(ends) / BATCH_ROWS)):
            learn_from(rows)
            steps += 1
            with torch.no_grad():  # the mean starts short: the first weights must not linger in it
                for name, value in steady.items():
                    value.lerp_(weights[name], 1.0 - min(AVERAGING, steps / (steps + 9)))
        now = judged()
        waited = 0 if now < best else waited + 1
        if now < best:
            best, found = now, {name: value.detach().cpu().numpy().copy() for name, value in steady.items()}
        if waited == PATIENCE:
            break
    return found


def _qlike(torch: Any, ratios: Any, added: Any) -> Any:
    """Mean QLIKE of the corrected forecast, less what no correction changes."""
    return (ratios * torch.exp(-added) + added).mean()


def _torch() -> Any:
    """torch, set up for the thread that calls: nothing else in the process uses it."""
    import torch  # 2.4 s cold; a forecast needs none of it

    torch.set_num_threads(1)  # holds for this thread: a new one begins with all cores
    # Some kernels of a GPU have no deterministic twin: there it warns, on a CPU it refuses.
    torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
    return torch


def _network(torch: Any, cell: str, initial: Weights, device: Any) -> tuple[Callable[[Any, Any], Any], dict[str, Any]]:
    """Twin of `sequence_networks`: forward pass of windows (T, n, k), with the state times a mask, and its weights."""
    weights = {name: torch.tensor(value, device=device, requires_grad=True) for name, value in initial.items()}
    states: Callable[[Any], Any]
    if cell in GATES:
        module = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[cell](weights["weight_ih"].shape[1], HIDDEN).to(device)
        own = [name for name in weights if not name.startswith("head")]
        module.load_state_dict({f"{name}_l0": weights[name].detach() for name in own})
        weights |= {name: getattr(module, f"{name}_l0") for name in own}

        def states(windows: Any) -> Any:
            return module(windows)[0][-1]
    else:

        def states(windows: Any) -> Any:
            state = windows.transpose(0, 1)
            for level in range(LEVELS):
                pairs = state.reshape(len(state), -1, 2 * state.shape[2])
                found = torch.tanh(
                    torch.nn.functional.linear(pairs, weights[f"weight_{level}"], weights[f"bias_{level}"])
                )
                state = found + pairs[:, :, HIDDEN:] if level else found
            return state[:, 0]

    def forward(windows: Any, kept: Any) -> Any:
        raw = torch.nn.functional.linear(states(windows) * kept, weights["head_weight"], weights["head_bias"])[:, 0]
        return LIMIT * torch.tanh(raw / LIMIT)

    return forward, weights
