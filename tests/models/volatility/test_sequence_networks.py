"""The numpy networks against torch's own layers, and what is said about which input moved them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.volatility.sequence_networks import (
    CELLS,
    HIDDEN,
    LEVELS,
    LIMIT,
    WINDOW,
    attribution,
    correction,
    first_weights,
)

INPUTS = 5
CELL_NAMES = sorted(CELLS)


def _weights(cell: str, seed: int = 0, size: float = 1.0) -> dict[str, np.ndarray]:
    """Weights as after training: nothing is zero."""
    rng = np.random.default_rng(seed)
    return {
        name: (size * rng.normal(0, 0.2, value.shape)).astype(np.float32)
        for name, value in first_weights(cell, INPUTS, rng).items()
    }


def _windows(rows: int, seed: int = 1, size: float = 1.0) -> np.ndarray:
    return size * np.random.default_rng(seed).standard_normal((rows, WINDOW, INPUTS)).astype(np.float32).astype(float)


def _states_by_torch(cell: str, weights: dict[str, np.ndarray], windows: np.ndarray):
    """Last states by torch's own layers: recurrent ones, and convolutions over every day of the window."""
    import torch

    tensors = {name: torch.tensor(value) for name, value in weights.items()}
    x = torch.tensor(windows, dtype=torch.float32)
    if cell in ("gru", "lstm"):
        module = getattr(torch.nn, cell.upper())(INPUTS, HIDDEN, batch_first=True)
        module.load_state_dict({f"{name}_l0": tensors[name] for name in tensors if not name.startswith("head")})
        return module(x)[0][:, -1]
    days = x.transpose(1, 2)  # channels first
    for level in range(LEVELS):
        reach = 2**level
        kernel = tensors[f"weight_{level}"].reshape(HIDDEN, 2, -1).transpose(1, 2)  # the earlier day first
        padded = torch.nn.functional.pad(days, (reach, 0))
        found = torch.tanh(torch.nn.functional.conv1d(padded, kernel, tensors[f"bias_{level}"], dilation=reach))
        days = found + days if level else found
    return days[:, :, -1]


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_the_layers_of_torch_say_the_same(cell: str) -> None:
    import torch

    weights, windows = _weights(cell), _windows(40)
    with torch.no_grad():
        head = torch.tensor(weights["head_weight"]), torch.tensor(weights["head_bias"])
        raw = torch.nn.functional.linear(_states_by_torch(cell, weights, windows), *head)[:, 0].numpy()
    got = correction(cell, weights, windows)
    assert got.std() > 0.05
    np.testing.assert_allclose(got, LIMIT * np.tanh(raw / LIMIT), atol=1e-5)


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_what_is_trained_is_what_forecasts(cell: str) -> None:
    import torch

    from models.volatility.sequence_training import _network, _torch

    weights, windows = _weights(cell, 3), _windows(40, 4)
    forward, _ = _network(_torch(), cell, weights, torch.device("cpu"))
    with torch.no_grad():
        trained = forward(torch.tensor(windows, dtype=torch.float32).transpose(0, 1), 1.0).numpy()
    np.testing.assert_allclose(correction(cell, weights, windows), trained, atol=1e-5)


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_first_weights_change_nothing(cell: str) -> None:
    weights = first_weights(cell, INPUTS, np.random.default_rng(0))
    assert (correction(cell, weights, _windows(20)) == 0.0).all()
    assert any(value.any() for value in weights.values())


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_the_first_and_the_last_day_of_the_window_count_and_no_row_reads_another(cell: str) -> None:
    weights, windows = _weights(cell), _windows(6)
    before = correction(cell, weights, windows)
    for day in (0, WINDOW - 1):
        changed = windows.copy()
        changed[2, day] += 3.0
        moved = np.abs(correction(cell, weights, changed) - before) > 1e-12
        assert moved.tolist() == [False, False, True, False, False, False]


@pytest.mark.parametrize("cell", CELL_NAMES)
@given(seed=st.integers(0, 10_000), size=st.floats(0.01, 1e4))
@settings(max_examples=20, deadline=None)
def test_a_correction_is_bounded_whatever_the_inputs(cell: str, seed: int, size: float) -> None:
    got = correction(cell, _weights(cell, seed, 3.0), _windows(8, seed, size))
    assert np.isfinite(got).all()
    assert (np.abs(got) <= LIMIT).all()


@pytest.mark.parametrize("cell", CELL_NAMES)
@given(seed=st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_attributions_account_for_the_whole_distance_from_the_neutral_window(cell: str, seed: int) -> None:
    weights, window = _weights(cell, seed), _windows(1, seed)[0]

    def network(windows: np.ndarray) -> np.ndarray:
        return correction(cell, weights, windows)

    parts = attribution(network, window)
    distance = network(window[None])[0] - network(np.zeros_like(window)[None])[0]
    assert parts.shape == (INPUTS,)
    assert parts.sum() == pytest.approx(distance, abs=1e-6)


def test_attribution_of_a_product_is_shared_and_an_idle_input_has_none() -> None:
    """f = x0 * x1 on the last day, from zero: each factor gets half of the product."""
    window = np.zeros((WINDOW, 3))
    window[-1] = 2.0, 3.0, 5.0
    parts = attribution(lambda windows: windows[:, -1, 0] * windows[:, -1, 1], window)
    np.testing.assert_allclose(parts, [3.0, 3.0, 0.0], atol=1e-8)


def test_an_unknown_cell_is_named() -> None:
    with pytest.raises(KeyError, match="no cell named 'rnn'"):
        first_weights("rnn", INPUTS, np.random.default_rng(0))
