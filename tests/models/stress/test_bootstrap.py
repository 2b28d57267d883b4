"""The block bootstrap against plain Python, against `arch`, and what must hold of every path."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from arch.bootstrap import StationaryBootstrap
from numpy.typing import NDArray

from models.stress.block_weights import RegimeHistory
from models.stress.bootstrap import BlockBootstrap, Blocks, Present, Scaling, fit_bootstrap
from models.stress.counter_rng import key_of
from tests.models.stress import slow_paths

FloatArray = NDArray[np.float64]


def numbered(n: int = 300, assets: int = 1) -> FloatArray:
    """Returns that tell their row: row t of asset a is t / 1000 + a."""
    return np.arange(n)[:, None] / 1000.0 + np.arange(assets)[None, :]


def rows_of(paths: FloatArray) -> NDArray[np.int64]:
    return np.rint((paths[..., 0] % 1.0) * 1000.0).astype(np.int64)


def clustered(n: int, assets: int = 1, seed: int = 0) -> FloatArray:
    rng = np.random.default_rng(seed)
    log_volatility = np.zeros(n)
    for t in range(1, n):
        log_volatility[t] = 0.97 * log_volatility[t - 1] + 0.15 * rng.standard_normal()
    common = rng.standard_normal((n, 1)) + 0.5 * rng.standard_normal((n, assets))
    return 0.02 * np.exp(log_volatility)[:, None] * common + 0.0005


def two_states(n: int, seed: int = 0) -> RegimeHistory:
    rng = np.random.default_rng(seed)
    stressed = rng.uniform(size=n)
    return RegimeHistory(
        np.column_stack([1 - stressed, stressed]), np.array([0.1, 0.9]), np.array([[0.95, 0.05], [0.1, 0.9]])
    )


CASES: list[dict[str, Any]] = [
    {"present": Present.IGNORED},
    {"present": Present.IGNORED, "blocks": Blocks.CIRCULAR, "length": 7.0},
    {"present": Present.IGNORED, "length": 1.0},
    {"present": Present.SCALED},
    {"present": Present.SCALED, "blocks": Blocks.CIRCULAR},
    {"present": Present.WEIGHTED, "regimes": two_states(400)},
    {"present": Present.BOTH, "regimes": two_states(400)},
]


@pytest.mark.parametrize("holes", [(), (0, 1, 150, 151, 399)], ids=str)
@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(str(v) for v in case.values() if isinstance(v, str)))
def test_paths_are_those_of_plain_python(case: dict[str, Any], holes: tuple[int, ...]) -> None:
    returns = clustered(400, assets=3)
    returns[list(holes), 1] = np.nan
    engine = fit_bootstrap(returns, **case)
    key = int(key_of(5, "bootstrap"))
    for steps in (1, 30, 80):
        fast = engine.paths(6, steps, seed=5, first=2**32 - 3)
        course = engine.course(steps)
        for i in range(6):
            slow = slow_paths.bootstrap_path(engine.sample, course, key, 2**32 - 3 + i, steps)
            np.testing.assert_allclose(fast[i], slow, rtol=0, atol=1e-15)


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(str(v) for v in case.values() if isinstance(v, str)))
def test_neither_threads_nor_shares_nor_repetition_change_a_byte(case: dict[str, Any]) -> None:
    engine = fit_bootstrap(clustered(400, assets=2), **case)
    whole = engine.paths(50, 40, seed=1)
    assert engine.paths(50, 40, seed=1, threads=3).tobytes() == whole.tobytes()
    assert engine.paths(20, 40, seed=1, first=30).tobytes() == whole[30:].tobytes()
    assert engine.paths(50, 40, seed=2).tobytes() != whole.tobytes()
    figures, again = engine.statistics(50, 40, seed=1), engine.statistics(50, 40, seed=1, threads=4)
    for name in figures.__dataclass_fields__:
        assert getattr(figures, name).tobytes() == getattr(again, name).tobytes()


def test_figures_are_those_of_the_paths_themselves() -> None:
    engine = fit_bootstrap(clustered(400, assets=2))
    paths, found = engine.paths(20, 60, seed=3), engine.statistics(20, 60, seed=3)
    for i in range(20):
        for asset in range(2):
            for name, value in slow_paths.figures(paths[i, :, asset]).items():
                assert getattr(found, name)[i, asset] == pytest.approx(value, abs=1e-9), name


def test_a_longer_path_begins_as_a_shorter_one() -> None:
    engine = fit_bootstrap(clustered(400), present=Present.IGNORED)
    assert engine.paths(9, 90, seed=4)[:, :25].tobytes() == engine.paths(9, 25, seed=4).tobytes()


@pytest.mark.parametrize(("last", "next_row"), [(99, 101), (199, 202), (299, 0)])
def test_no_block_reaches_over_a_hole_or_the_end(last: int, next_row: int) -> None:
    returns = numbered(assets=2)
    returns[[100, 200, 201], 1] = np.nan
    engine = fit_bootstrap(returns, blocks=Blocks.CIRCULAR, length=50, present=Present.IGNORED)
    rows = rows_of(engine.paths(2000, 200, seed=1))
    assert not np.isin(rows, [100, 200, 201]).any()
    visits = rows[:, :-1] == last
    follows = (visits & (rows[:, 1:] == next_row)).sum() / visits.sum()
    assert follows < 0.02, "a new start hits the row by chance, one time in 297"


def test_fixed_blocks_have_their_length_and_end_with_the_sample() -> None:
    engine = fit_bootstrap(numbered(), blocks=Blocks.CIRCULAR, length=10, present=Present.IGNORED)
    for path in rows_of(engine.paths(200, 60, seed=8)):
        step = 0
        while step < 60:
            length = min(10, 300 - path[step], 60 - step)
            np.testing.assert_array_equal(path[step : step + length], path[step] + np.arange(length))
            step += length


def test_random_blocks_have_the_geometric_law_and_their_mean() -> None:
    sample = np.arange(2000)[:, None] * 1.0
    engine = fit_bootstrap(sample, length=20.0, present=Present.IGNORED)
    path = engine.paths(400, 500, seed=8)[..., 0]
    turns = (np.diff(path, axis=1) != 1).mean()
    # A step begins a block with probability 1/20, or because the sample ended (1/2000); one start in 2000 goes on by
    # chance.
    assert turns == pytest.approx(1 / 20 + 1 / 2000, abs=4 * np.sqrt(0.05 * 0.95 / path.size))


@pytest.mark.parametrize("holes", [(), (100, 101, 260)], ids=str)
def test_every_row_is_equally_likely_at_every_step(holes: tuple[int, ...]) -> None:
    """Wrapping around is what usually makes it so; here the first rows of the runs do."""
    returns = np.arange(300.0)[:, None]
    returns[list(holes)] = np.nan
    engine = fit_bootstrap(returns, length=40.0, present=Present.IGNORED)
    path = engine.paths(60_000, 60, seed=2)[..., 0].astype(int)
    n = 300 - len(holes)
    for step in (0, 1, 7, 59):
        counts = np.bincount(path[:, step], minlength=300)
        assert counts[list(holes)].sum() == 0
        z = (np.delete(counts, list(holes)) - 60_000 / n) / np.sqrt(60_000 / n)
        assert np.abs(z).max() < 4.8
        assert (z**2).mean() == pytest.approx(1.0, abs=0.35)


def test_the_mean_of_a_path_has_the_variance_that_the_library_finds() -> None:
    values = clustered(800, seed=6)[:, 0]
    library = StationaryBootstrap(25, values, seed=1)
    want = np.std([data[0][0].mean() for data in library.bootstrap(3000)])
    engine = fit_bootstrap(values[:, None], length=25.0, present=Present.IGNORED)
    found = np.std(engine.statistics(3000, 800, seed=1).log_return / 800)
    assert found == pytest.approx(want, rel=0.08)


def test_assets_keep_their_company() -> None:
    returns = clustered(600, assets=3, seed=2)
    want = np.corrcoef(returns.T)
    paths = fit_bootstrap(returns, present=Present.IGNORED).paths(300, 200, seed=0)
    np.testing.assert_allclose(np.corrcoef(paths.reshape(-1, 3).T), want, atol=0.03)


def test_scaling_by_hand() -> None:
    """Variance 4 before the sample, decay 1/2: known volatility, present volatility and ratios add up on paper."""
    returns = np.tile([[1.0], [-1.0], [3.0], [-3.0]], (100, 1))  # mean 0, mean square 5
    engine = fit_bootstrap(returns, length=1.0, scaling=Scaling(decay=0.5))
    sigma = engine.sample.sigma[0]
    np.testing.assert_allclose(sigma[:3] ** 2, [5.0, 3.0, 2.0])  # 5; (5 + 1) / 2; (3 + 1) / 2
    assert engine.sigma_now[0] ** 2 == pytest.approx((sigma[-1] ** 2 + 9.0) / 2.0)
    assert engine.sigma_long_run[0] ** 2 == pytest.approx(5.0)
    paths = engine.paths(500, 20, seed=0)[..., 0]
    possible = returns[:, 0] * np.clip(engine.sigma_now[0] / sigma, 1 / 3, 3)
    assert np.abs(paths[..., None] - possible).min(axis=-1).max() < 1e-12


def test_a_ratio_is_bounded_and_the_mean_is_not_scaled() -> None:
    returns = clustered(400) + 0.001
    quiet, wild = (fit_bootstrap(returns, sigma_now=np.array([s]), length=1.0) for s in (1e-9, 1e9))
    plain = fit_bootstrap(returns, present=Present.IGNORED, length=1.0).paths(50, 20, seed=0)
    mean = returns.mean()
    np.testing.assert_allclose(quiet.paths(50, 20, seed=0) - mean, (plain - mean) / 3.0, atol=1e-15)
    np.testing.assert_allclose(wild.paths(50, 20, seed=0) - mean, (plain - mean) * 3.0, atol=1e-15)


@pytest.mark.parametrize(("steps", "fades"), [(30, False), (31, True)])
def test_the_present_fades_on_long_paths_only(steps: int, fades: bool) -> None:
    engine = fit_bootstrap(clustered(400, assets=2), sigma_now=np.array([0.1, 0.001]))
    sigma = engine.course(steps).sigma
    assert sigma.shape == (2, steps)
    np.testing.assert_allclose(sigma[:, 0], engine.sigma_now, rtol=1e-12)
    half_way = (engine.sigma_now + engine.sigma_long_run) / 2.0
    np.testing.assert_allclose(sigma[:, 22], half_way if fades else engine.sigma_now, rtol=1e-12)


def test_weighted_starts_come_from_the_present_regime_first() -> None:
    n = 1000
    stressed = np.arange(n) % 100 < 20
    history = RegimeHistory(
        np.column_stack([~stressed, stressed]).astype(float),
        np.array([0.0, 1.0]),
        np.array([[0.99, 0.01], [0.04, 0.96]]),
    )
    returns = np.where(stressed, 2.0, 1.0)[:, None]
    share = {}
    for present in (Present.WEIGHTED, Present.BOTH):
        engine = fit_bootstrap(
            returns, present=present, regimes=history, length=1.0, scaling=Scaling(lowest=1.0, highest=1.0)
        )
        share[present] = (engine.paths(4000, 200, seed=0)[..., 0] > 1.5).mean(axis=0)
    # 0.96 of the first step is stressed, 0.2 in the long run: 0.01 / (0.01 + 0.04).
    assert share[Present.WEIGHTED][0] == pytest.approx(0.96, abs=0.015)
    assert share[Present.WEIGHTED][-1] == pytest.approx(0.2, abs=0.03)
    assert 0.2 < share[Present.BOTH][0] < share[Present.WEIGHTED][0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"returns": numbered(249)}, "needs 250 rows"),
        ({"returns": np.full((400, 1), np.nan)}, "needs 250 rows"),
        ({"length": 0.5}, "do not fit"),
        ({"length": 61.0}, "do not fit"),
        ({"present": Present.WEIGHTED}, "there are none"),
    ],
)
def test_what_cannot_be_resampled_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_bootstrap(**{"returns": numbered(300), **change})


def test_a_path_needs_a_step() -> None:
    engine: BlockBootstrap = fit_bootstrap(numbered())
    with pytest.raises(ValueError, match="needs a step"):
        engine.statistics(10, 0, seed=0)
