"""The regime generator against plain Python and planted regimes, and what must hold of its law."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from models.stress.counter_rng import key_of
from models.stress.gjr import CAP
from models.stress.regime_generator import (
    BURN_IN_STEPS,
    RegimeGenerator,
    fit_regime_generator,
    stationary,
    volatility_states,
)
from tests.models.stress import slow_paths

FloatArray = NDArray[np.float64]

CALM, WILD = 0.01, 0.04


def planted(n: int = 1500, assets: int = 2, seed: int = 0, spell: int = 300) -> FloatArray:
    """Calm and wild spells in turn, the last one wild; t(5) shocks with a correlation of 0.8."""
    rng = np.random.default_rng(seed)
    sigma = np.where((n - 1 - np.arange(n)) // spell % 2 == 0, WILD, CALM)
    shocks = np.sqrt(0.8) * rng.standard_normal((n, 1)) + np.sqrt(0.2) * rng.standard_normal((n, assets))
    return sigma[:, None] * shocks * np.sqrt(3.0 / rng.chisquare(5, (n, 1))) + 0.001


@pytest.fixture(scope="module")
def fitted() -> RegimeGenerator:
    return fit_regime_generator(planted())


@pytest.mark.parametrize("long_run", [False, True])
def test_paths_are_those_of_plain_python(fitted: RegimeGenerator, long_run: bool) -> None:
    generator = fitted.in_the_long_run() if long_run else fitted
    key = int(key_of(9, "regimes"))
    fast = generator.paths(4, 40, seed=9, first=2**32 - 2)
    for i in range(4):
        slow = slow_paths.regime_path(generator.law, generator.start, generator.gjr, key, 2**32 - 2 + i, 40)
        np.testing.assert_allclose(fast[i], slow, rtol=1e-12, atol=1e-15)


def test_neither_threads_nor_shares_nor_repetition_change_a_byte(fitted: RegimeGenerator) -> None:
    whole = fitted.paths(30, 50, seed=1)
    assert fitted.paths(30, 50, seed=1, threads=3).tobytes() == whole.tobytes()
    assert fitted.paths(10, 50, seed=1, first=20).tobytes() == whole[20:].tobytes()
    assert fitted.paths(30, 80, seed=1)[:, :50].tobytes() == whole.tobytes(), "a longer path begins as a shorter one"
    assert fit_regime_generator(planted()).paths(30, 50, seed=1).tobytes() == whole.tobytes()
    assert fitted.paths(30, 50, seed=2).tobytes() != whole.tobytes()
    figures, again = fitted.statistics(30, 50, seed=1), fitted.statistics(30, 50, seed=1, threads=2)
    for name in figures.__dataclass_fields__:
        assert getattr(figures, name).tobytes() == getattr(again, name).tobytes()
    for name, value in slow_paths.figures(whole[7, :, 1]).items():
        assert getattr(figures, name)[7, 1] == pytest.approx(value, abs=1e-9), name


def test_planted_regimes_are_states_in_the_order_of_their_variance() -> None:
    returns = planted()
    states = volatility_states(returns)
    wild = (len(returns) - 1 - np.arange(len(returns))) // 300 % 2 == 0
    settled = np.arange(len(returns)) % 300 > 150
    assert states[wild & settled].min() > states[~wild & settled].max()
    variance = [(returns[states == k] ** 2).mean() for k in range(states.max() + 1)]
    assert variance == sorted(variance)
    assert np.bincount(states).min() >= 60


def test_levels_mix_to_the_variance_of_the_sample(fitted: RegimeGenerator) -> None:
    mix = fitted.law.level @ stationary(fitted.moves)
    np.testing.assert_allclose(mix, fitted.law.cap / CAP, rtol=1e-12)
    np.testing.assert_allclose(np.sqrt(mix), planted().std(axis=0), rtol=0.01)
    # Without clustering inside states, whose rare storms a few paths do not average out.
    law = fitted.law._replace(omega=np.ones(2), feedback=np.zeros((2, 1500)))
    paths = replace(fitted.in_the_long_run(), law=law).paths(1500, 250, seed=0)
    np.testing.assert_allclose(paths.std(axis=(0, 1)), planted().std(axis=0), rtol=0.03)


def test_residuals_are_of_unit_variance_in_every_state(fitted: RegimeGenerator) -> None:
    law = fitted.law
    for k in range(len(fitted.moves)):
        residual = law.residual[:, law.offset[k] : law.offset[k + 1]]
        np.testing.assert_allclose(residual.mean(axis=1), 0.0, atol=1e-12)
        np.testing.assert_allclose(residual.var(axis=1), 1.0, rtol=1e-12)
    assert law.residual.shape[1] == law.offset[-1] == 1500


def test_paths_begin_in_the_present_and_end_in_the_long_run(fitted: RegimeGenerator) -> None:
    anywhere = fitted.in_the_long_run()
    assert anywhere.start.burn_in == BURN_IN_STEPS
    long_run = np.quantile(np.abs(anywhere.paths(1000, 200, seed=1)[..., 0]), 0.9)
    by_step = np.quantile(np.abs(fitted.paths(1000, 1500, seed=0)[..., 0]), 0.9, axis=0)
    assert by_step[:5].mean() > 1.3 * long_run, "the sample ends in its wild state"
    assert by_step[-200:].mean() == pytest.approx(long_run, rel=0.05)


def test_assets_fall_together(fitted: RegimeGenerator) -> None:
    want = np.corrcoef(planted().T)[0, 1]
    paths = fitted.in_the_long_run().paths(300, 500, seed=0)
    found = np.median([np.corrcoef(path.T)[0, 1] for path in paths])
    assert found == pytest.approx(want, abs=0.08)


def test_neighbours_keep_their_correlation() -> None:
    returns = planted(assets=1)[:, 0]
    for t in range(1, len(returns)):
        returns[t] += 0.3 * returns[t - 1]
    paths = fit_regime_generator(returns[:, None]).in_the_long_run().paths(200, 500, seed=0)[..., 0]
    found = np.mean([np.corrcoef(path[1:], path[:-1])[0, 1] for path in paths])
    assert found == pytest.approx(np.corrcoef(returns[1:], returns[:-1])[0, 1], abs=0.04)


def test_no_step_is_wilder_than_the_cap_allows() -> None:
    returns = planted(assets=1, seed=4)
    generator = fit_regime_generator(returns)
    paths = generator.in_the_long_run().paths(300, 500, seed=0)
    largest = np.abs(generator.law.residual).max()
    memory = float(np.abs(generator.law.memory[0]))
    bound = np.sqrt(CAP) * returns.std() * largest / (1.0 - memory) + abs(returns.mean())
    assert np.isfinite(paths).all()
    assert np.abs(paths).max() <= bound


def test_rows_with_a_hole_are_left_out() -> None:
    returns = planted()
    holes = np.insert(returns, [100, 700], np.nan, axis=0)
    holes[100, 0] = 0.01
    assert fit_regime_generator(holes).paths(5, 20, seed=0).tobytes() == (
        fit_regime_generator(returns).paths(5, 20, seed=0).tobytes()
    )


@pytest.mark.parametrize(
    ("returns", "message"),
    [
        (planted(364), "needs 365 rows"),
        (np.full((500, 1), np.nan), "needs 365 rows"),
        (np.column_stack([planted(500, 1)[:, 0], np.zeros(500)]), "never moves"),
    ],
)
def test_what_cannot_be_fitted_is_refused(returns: FloatArray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_regime_generator(returns)


def test_the_long_run_of_a_chain_by_hand() -> None:
    np.testing.assert_allclose(stationary(np.array([[0.9, 0.1], [0.3, 0.7]])), [0.75, 0.25])
    np.testing.assert_allclose(stationary(np.ones((1, 1))), [1.0])
