"""A whole simulation: who is compared with whom, closed forms, and that neither threads nor blocks change a byte."""

from __future__ import annotations

import json
import math
import tracemalloc
from dataclasses import replace
from decimal import Decimal as D
from typing import Any

import numpy as np
import pytest

from models.stress.bands import BAND_POINTS, PERCENTS, equity_bands, shown_steps
from models.stress.bootstrap import fit_bootstrap
from models.stress.conditions import Conditions, neutral
from models.stress.course_figures import COST, DRAWDOWN, EXPOSURE, FIGURES, RETURN, TRADES, TURNOVER
from models.stress.figures import estimates
from models.stress.results import result_of
from models.stress.setup import Leverage, Setup
from models.stress.simulation import Cancelled, Control, Simulated, simulate_vault
from tests.models.stress.vaults import GivenPaths, a_coin, a_setup, random_conditions

STEPS = 48


def from_a_bootstrap(steps: int = STEPS) -> Setup:
    rng = np.random.default_rng(4)
    level = 0.006 * np.exp(np.cumsum(rng.normal(0, 0.1, 600)) * 0.3)
    rows = level[:, None] * rng.standard_normal((600, 2))
    setup = a_setup(np.zeros((1, steps, 2)), leverage=Leverage(3.0, 0.1))
    return replace(setup, generator=fit_bootstrap(rows))


def some_shocks(first: int, paths: int) -> Conditions:
    """Those of a path are a function of its number."""
    parts = [random_conditions(1, STEPS, seed=path) for path in range(first, first + paths)]
    return Conditions(*(np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])))


def bytes_of(found: Simulated) -> bytes:
    arrays = [found.mix_weights, *found.tables.values(), *found.equity.values()]
    return b"".join(array.tobytes() for array in arrays)


@pytest.mark.parametrize("inject", [None, some_shocks], ids=["calm", "shocks"])
def test_neither_threads_nor_blocks_change_a_byte(inject: Any) -> None:
    setup = from_a_bootstrap()
    whole = bytes_of(simulate_vault(setup, 61, 1, inject))
    for control in (Control(3), Control(2, block_paths=7), Control(block_paths=1), Control(5, block_paths=50)):
        assert bytes_of(simulate_vault(setup, 61, 1, inject, control)) == whole
    assert bytes_of(simulate_vault(setup, 61, 2, inject)) != whole


def test_more_paths_leave_the_first_ones_alone() -> None:
    setup = from_a_bootstrap()
    few, many = simulate_vault(setup, 20, 1), simulate_vault(setup, 50, 1)
    for name in ("hold", "policy"):  # the mix is that of all paths
        assert many.tables[name][:20].tobytes() == few.tables[name].tobytes()


def test_a_cancelled_run_stops_and_leaves_nothing() -> None:
    asked, heard = [], []

    def is_cancelled() -> bool:
        asked.append(None)
        return len(asked) == 3

    with pytest.raises(Cancelled, match="8 of 100"):
        simulate_vault(from_a_bootstrap(), 100, 1, control=Control(1, heard.append, is_cancelled, 1))
    assert len(asked) == 3
    assert heard == pytest.approx([0.6 * 0.04, 0.6 * 0.08])


def test_progress_grows_to_the_whole() -> None:
    heard: list[float] = []
    simulate_vault(from_a_bootstrap(), 100, 1, control=Control(2, heard.append, block_paths=5))
    assert heard == sorted(heard)
    assert len(set(heard)) == len(heard) > 5
    assert heard[-1] == pytest.approx(1.0)


def test_an_error_of_a_thread_is_not_lost() -> None:
    with pytest.raises(ValueError, match="asked for"):
        simulate_vault(from_a_bootstrap(), 40, 1, lambda first, paths: neutral(paths, STEPS, 3), Control(2))


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"block_paths": 0}])
def test_a_run_without_hands_is_none(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="a thread and a path"):
        Control(**wrong)


def test_memory_grows_by_the_figures_of_a_path_and_by_nothing_else() -> None:
    """Beyond the 10,000 paths that bands rest on: 60,000 more of them."""
    setup, control = from_a_bootstrap(2), Control(block_paths=500)

    def peak(paths: int) -> int:
        tracemalloc.start()
        simulate_vault(setup, paths, 1, control=control)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(600)
    grown = peak(75_000) - peak(15_000)
    of_figures = 60_000 * FIGURES * 3 * 8
    assert of_figures * 0.999 < grown < of_figures * 1.05


def test_hold_is_the_prices_and_mix_holds_as_much_as_the_policy() -> None:
    setup = from_a_bootstrap(200)
    found = simulate_vault(setup, 600, 1)
    hold, policy, mix = (found.tables[name] for name in ("hold", "policy", "mix"))
    growth = np.exp(setup.generator.paths(600, 200, 1).sum(axis=1))
    np.testing.assert_allclose(hold[:, RETURN], growth @ [0.45, 0.3] + 0.25 - 1.0, rtol=0, atol=1e-12)
    assert (hold[:, [TURNOVER, TRADES, COST]] == 0.0).all()
    assert policy[:, TRADES].mean() > 1.0
    assert mix[:, EXPOSURE].mean() == pytest.approx(policy[:, EXPOSURE].mean(), abs=1e-3)
    assert mix[:, EXPOSURE].std() < 0.3 * policy[:, EXPOSURE].std()


def test_the_expected_drawdown_of_a_random_walk() -> None:
    """sigma sqrt(pi T / 2) for a Brownian motion (Magdon-Ismail et al. 2004); a walk of n steps misses 0.5826 sigma of
    the range at either end (Asmussen, Glynn & Pitman 1995)."""
    steps, paths, sigma = 400, 3000, 1e-4  # small: the share of the peak is the logarithmic distance
    walk = np.random.default_rng(6).normal(0, sigma, (paths, steps))
    found = estimates(simulate_vault(a_coin(walk), paths, 0).tables["hold"], 0.5)["mean_max_drawdown"]
    truth = sigma * (math.sqrt(math.pi * steps / 2) - 2 * 0.5826)
    assert found.value is not None
    assert found.standard_error is not None
    assert abs(found.value - truth) < 4 * found.standard_error
    assert found.standard_error < 0.02 * truth


def test_costs_are_what_a_trade_costs() -> None:
    """A vault that starts in the stable leg and is told to hold the coin at prices that stand still: 10 bp."""
    setup = a_coin(np.zeros((1, 20)), start={"USDC": D(1), "BTC": D(0)})
    setup = replace(setup, vault=replace(setup.vault, limits=replace(setup.vault.limits, max_step=D(1))))
    found = simulate_vault(setup, 1, 0).tables["policy"][0]
    assert found[[TRADES, TURNOVER, COST, RETURN, DRAWDOWN]] == pytest.approx([1, 1, 0.001, -0.001, 0.001])
    thin = replace(neutral(1, 20, 2), half_spread_multiplier=np.full((1, 20), 3.0))
    found = simulate_vault(setup, 1, 0, lambda *_: thin).tables["policy"][0]
    assert found[COST] == pytest.approx(0.002)


def test_a_depeg_hurts_who_is_in_the_stable_leg() -> None:
    one = neutral(1, 20, 2)
    one.log_return[0, 9, 0] = math.log(0.9)
    setup = a_coin(np.zeros((1, 20)), start={"USDC": D("0.5"), "BTC": D("0.5")})
    assert simulate_vault(setup, 1, 0, lambda *_: one).tables["hold"][0, RETURN] == pytest.approx(-0.05)


@pytest.mark.parametrize("size", [-900.0, -1e308, 900.0, 1e308])
def test_the_most_extreme_shock_leaves_numbers(size: float) -> None:
    one = neutral(4, 20, 2)
    one.log_return[:2, 5, 1] = size
    one.log_return[1, 6, 1] = -size
    found = simulate_vault(a_coin(np.full((4, 20), 0.01), leverage=Leverage(2.0)), 4, 0, lambda *_: one).tables
    for table in found.values():
        assert np.isfinite(table).all()
    alone = simulate_vault(a_coin(np.full((4, 20), 0.01)), 4, 0).tables["hold"]
    assert (found["hold"][2:, RETURN] == alone[2:, RETURN]).all()
    if size < 0:
        assert found["hold"][0, RETURN] == pytest.approx(-1.0, abs=1e-8)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("depth_usd", 0.0, "above 0 and finite, not 0.0"),
        ("depth_usd", math.nan, "above 0 and finite, not nan"),
        ("depth_usd", math.inf, "above 0 and finite, not inf"),
        ("sigma_day", -0.1, "0 or more and finite, not -0.1"),
        ("sigma_day", math.nan, "0 or more and finite, not nan"),
    ],
)
def test_what_an_impact_reads_is_checked(name: str, value: float, words: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: that of ETH must be {words}"):
        a_setup(np.zeros((1, 5, 2)), **{name: {"ETH": value}})


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"steps": 0}, "steps"),
        ({"steps_per_day": 7}, "steps_per_day"),
        ({"steps_per_day": 1}, "another length"),
        ({"columns": {"DOGE": 0}}, "DOGE"),
        ({"columns": {"BTC": 2}}, "0 to 1"),
        ({"start": {"BTC": D(1)}}, "start"),
        ({"ruin_loss": 1.0}, "ruin_loss"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        replace(a_setup(np.zeros((1, 5, 2))), **change)


@pytest.mark.parametrize(("multiple", "maintenance"), [(1.0, 0.0), (2.0, 0.5), (2.0, -0.1), (math.nan, 0.0)])
def test_a_loan_that_is_called_at_the_start_is_none(multiple: float, maintenance: float) -> None:
    with pytest.raises(ValueError, match="leverage"):
        Leverage(multiple, maintenance)


def test_bands_hold_what_they_say() -> None:
    rng = np.random.default_rng(7)
    walks = np.exp(np.concatenate([np.zeros((3000, 1)), np.cumsum(rng.normal(0, 0.01, (3000, 60)), axis=1)], axis=1))
    bands = equity_bands(walks, np.arange(61))
    assert bands is not None
    assert bands.standard_error is not None
    inside = ((walks >= bands.low * (1 - 1e-12)) & (walks <= bands.high * (1 + 1e-12))).all(axis=1)
    assert inside.mean() == bands.inside == pytest.approx(0.9, abs=1 / 3000)
    for row, percent in enumerate(PERCENTS):
        below = (walks[:, 1:] <= bands.pointwise[row, 1:]).mean(axis=0)
        assert below == pytest.approx(np.full(60, percent / 100), abs=1e-12)
    apart = ((walks >= bands.pointwise[1]) & (walks <= bands.pointwise[5])).all(axis=1).mean()
    assert apart < 0.8  # the pointwise 90 % band holds fewer whole paths than it says
    median = bands.pointwise[3, 60]
    assert bands.standard_error[3, 60] == pytest.approx(1.2533 * math.log(walks[:, 60].std() + 1) / 3000**0.5, rel=0.5)
    assert median == pytest.approx(1.0, abs=4 * bands.standard_error[3, 60])
    assert equity_bands(walks[:99], np.arange(61)) is None


@pytest.mark.parametrize("steps", [1, 119, 120, 121, 720, 8760])
def test_the_closes_that_are_shown(steps: int) -> None:
    shown = shown_steps(steps)
    assert shown[0] == 0
    assert shown[-1] == steps
    assert len(shown) == min(steps + 1, BAND_POINTS)


def test_a_result_is_json_without_nan() -> None:
    setup = from_a_bootstrap()
    for paths in (3, 150):
        result = result_of(setup, simulate_vault(setup, paths, 1)).to_dict()
        again = json.loads(json.dumps(result, allow_nan=False))
        assert set(again["figures"]) == {"hold", "policy", "mix"}
        assert again["figures"]["policy"]["es_99"]["value"] is None or paths >= 100
        assert ("reason" in again["bands"]["policy"]) == (paths < 100)
        assert sum(again["mix_weights"].values()) == pytest.approx(1.0)


def test_the_policy_less_hold_is_the_difference_of_their_figures() -> None:
    setup = from_a_bootstrap()
    result = result_of(setup, simulate_vault(setup, 150, 1))
    for name, one in result.policy_less["hold"].items():
        ours, theirs = result.figures["policy"][name].value, result.figures["hold"][name].value
        assert one.value == (None if ours is None or theirs is None else pytest.approx(ours - theirs))


def test_given_paths_are_given() -> None:
    table = np.random.default_rng(1).normal(size=(4, 5, 2))
    assert (GivenPaths(table).paths(2, 5, 0, first=1) == table[1:3]).all()
