"""What each shock changes, on the same drawn paths."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from models.stress.conditions import Conditions, neutral
from models.stress.marginal import all_of, marginal_effects
from models.stress.simulation import Control, simulate_vault
from tests.models.stress.vaults import a_coin

PATHS, STEPS = 60, 20


def a_gap(first: int, paths: int) -> Conditions:
    one = neutral(paths, STEPS, 2)
    one.log_return[:, 9, 1] = np.log(0.8)
    return one


def a_wild_day(first: int, paths: int) -> Conditions:
    return replace(neutral(paths, STEPS, 2), sigma_multiplier=np.full((paths, STEPS), 3.0))


def nothing(first: int, paths: int) -> Conditions:
    return neutral(paths, STEPS, 2)


SHOCKS = {"gap": a_gap, "wild": a_wild_day, "nothing": nothing}
WALK = np.random.default_rng(3).normal(0, 0.01, (PATHS, STEPS))


def test_each_shock_against_the_calm_run() -> None:
    setup = a_coin(WALK)
    found = marginal_effects(setup, PATHS, 0, SHOCKS)
    growth = np.exp(WALK.sum(axis=1))
    effect = {name: one.effect["hold"]["mean_return"].value for name, one in found.alone.items()}
    assert effect["nothing"] == 0.0
    assert effect["gap"] == pytest.approx(-0.2 * growth.mean())
    assert effect["wild"] == pytest.approx((growth**3 - growth).mean())
    assert found.all.effect["hold"]["mean_return"].value == pytest.approx((0.8 * growth**3 - growth).mean())
    assert all(one.value == 0.0 for one in found.alone["nothing"].effect["policy"].values() if one.value is not None)
    json.dumps(found.to_dict(), allow_nan=False)


def test_the_runs_are_those_of_the_simulation() -> None:
    setup = a_coin(WALK)
    found = marginal_effects(setup, PATHS, 0, SHOCKS)
    alone = simulate_vault(setup, PATHS, 0, a_gap).tables["hold"]
    assert found.alone["gap"].result.figures["hold"]["max_drawdown_50"].value == np.sort(alone[:, 1])[PATHS // 2 - 1]
    both = all_of({"gap": a_gap, "wild": a_wild_day})(0, PATHS)
    assert (both.log_return == a_gap(0, PATHS).log_return).all()
    assert (both.sigma_multiplier == 3.0).all()


def test_a_single_shock_is_all_of_them() -> None:
    heard: list[float] = []
    found = marginal_effects(a_coin(WALK), PATHS, 0, {"gap": a_gap}, Control(progress=heard.append))
    assert found.all is found.alone["gap"]
    assert heard == sorted(heard)
    assert heard[-1] == pytest.approx(1.0)


def test_no_shock_has_no_effect_to_be_told() -> None:
    with pytest.raises(ValueError, match="no shock"):
        marginal_effects(a_coin(WALK), PATHS, 0, {})
