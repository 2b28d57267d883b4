"""The pool of members against a slow reading of its definition, and what it is for."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.contracts.market import SeriesKind
from models.volatility.combination import LOSS_CAP, MIN_LOSSES, SHARPNESS, Combination, combined_paths, pooling
from models.volatility.members import BASELINES, make
from models.volatility.outcomes import managed
from models.volatility.panel import Panel, build_panel
from models.volatility.targets import forward_mean

COIN = SeriesKind.CANDLES
DAYS = 500
Paths = dict[str, dict[str, np.ndarray]]


def _market(seed: int, noise: dict[str, float], days: int = DAYS, series: tuple[str, ...] = ("A", "B")) -> tuple:
    """Series of independent variances, and members whose log forecast of the next day misses it by a normal error."""
    rng = np.random.default_rng(seed)
    as_of = pd.date_range("2022-01-01", periods=days, freq="D", tz="UTC")
    frames, paths = [], {name: {} for name in noise}
    for name in series:
        rv = np.exp(rng.normal(-7.0, 0.8, days))
        frames.append(pd.DataFrame({"series": name, "as_of": as_of, "rv": rv, "ret": np.sqrt(rv)}))
        target = np.append(rv[1:], 1e-3)
        for member, size in noise.items():
            paths[member][name] = target * np.exp(rng.normal(0.0, size, days))
    return build_panel(pd.concat(frames), COIN), paths


def _slow_weights(panel: Panel, paths: Paths, series: str, row: int, horizon: int) -> np.ndarray:
    """Weights of one row, loss by loss."""
    moment, window = panel.grids[series].as_of[row], panel.protocol.spike_window

    def known(name: str) -> dict[np.datetime64, list[float]]:
        grid, out = panel.grids[name], {}
        target = forward_mean(grid.rv, horizon)
        for s in range(len(grid) - horizon - 1):
            ratios = [target[s] / path[name][s] for path in paths.values()]
            losses = [min(x - math.log(x) - 1.0, LOSS_CAP) for x in ratios]
            out[grid.as_of[s + horizon + 1]] = [x - sum(losses) / len(losses) for x in losses]
        return {when: losses for when, losses in out.items() if when <= moment and np.isfinite(losses).all()}

    def advantage(by_date: dict[np.datetime64, list[float]]) -> np.ndarray | None:
        first = moment - np.timedelta64(window - 1, "D")
        recent = np.array([losses for when, losses in by_date.items() if when >= first])
        if len(recent) < MIN_LOSSES:
            return None
        return recent.mean(axis=0) / recent.std(axis=0, ddof=1) * math.sqrt(len(recent))

    everyone: dict[np.datetime64, list[list[float]]] = {}
    for name in panel.grids:
        for when, losses in known(name).items():
            everyone.setdefault(when, []).append(losses)
    shared = advantage({when: np.mean(rows, axis=0).tolist() for when, rows in everyone.items()})
    if shared is None:
        return np.full(len(paths), 1 / len(paths))
    own = advantage(known(series))
    evidence = (shared + (shared if own is None else own)) / 2
    powers = np.exp(-SHARPNESS * evidence)
    return powers / powers.sum()


@pytest.mark.parametrize("horizon", [1, 7])
@pytest.mark.parametrize("row", [0, 59, 61, 62, 68, 69, 200, 430, 499])
def test_weights_are_those_of_a_slow_reading(horizon: int, row: int) -> None:
    panel, paths = _market(1, {"good": 0.4, "fair": 0.45, "poor": 0.6})
    found = pooling(panel, paths, horizon)
    for series in panel.grids:
        np.testing.assert_allclose(found.weights[series][row], _slow_weights(panel, paths, series, row, horizon))


def test_weights_are_equal_until_sixty_losses_are_known() -> None:
    panel, paths = _market(2, {"good": 0.1, "poor": 0.9})
    weights = pooling(panel, paths, 1).weights["A"]
    assert (weights[: MIN_LOSSES + 1] == 0.5).all()  # the loss of row 0 is known at row 2
    assert weights[MIN_LOSSES + 1, 0] > 0.9


def test_a_managed_series_speaks_for_itself_and_not_for_the_panel() -> None:
    """`pool` is good where rates move, `calm` for the peg P: P must not be forecast as the others are."""
    moving, paths = _market(5, {"pool": 0.2, "calm": 0.6}, series=("A", "B"))
    peg, own = _market(6, {"pool": 0.6, "calm": 0.2}, series=("P",))
    rows = [
        pd.DataFrame(
            {"series": s, "as_of": pd.DatetimeIndex(g.as_of, tz="UTC"), "rv": g.rv, "ret": g.ret,
             "unchanged_share": 0.9 if s == "P" else 0.0}
        )
        for s, g in {**moving.grids, **peg.grids}.items()
    ]  # fmt: skip
    panel = build_panel(pd.concat(rows), SeriesKind.FIXINGS)
    assert managed(panel.grids["P"], panel.kind).all()
    joint = {member: {**paths[member], **own[member]} for member in paths}
    weights = pooling(panel, joint, 1).weights
    alone = pooling(panel.only("A", "B"), paths, 1).weights
    np.testing.assert_array_equal(weights["A"], alone["A"])
    pooled, peggy = weights["A"][-1, 0], weights["P"][-1, 0]
    assert peggy < 0.8 < 0.95 < pooled, "half of the evidence on P is its own, against the panel's"


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(100, DAYS - 2))
def test_a_changed_future_leaves_the_past_bit_for_bit(seed: int, cut: int) -> None:
    panel, paths = _market(seed, {"a": 0.4, "b": 0.5})
    later = {m: {s: np.where(np.arange(DAYS) > cut, 9 * f, f) for s, f in own.items()} for m, own in paths.items()}
    rows = pd.concat(
        pd.DataFrame({"series": s, "as_of": pd.DatetimeIndex(g.as_of, tz="UTC"), "ret": g.ret,
                      "rv": np.where(np.arange(DAYS) > cut, 5 * g.rv, g.rv)})
        for s, g in panel.grids.items()
    )  # fmt: skip
    before, after = combined_paths(panel, paths, 1), combined_paths(build_panel(rows, COIN), later, 1)
    for series in panel.grids:
        assert before[series][: cut + 1].tobytes() == after[series][: cut + 1].tobytes()
        assert not np.array_equal(before[series], after[series])


def _qlike(panel: Panel, forecast: dict[str, np.ndarray]) -> float:
    ratios = np.concatenate([forward_mean(g.rv, 1)[200:-1] / forecast[s][200:-1] for s, g in panel.grids.items()])
    return float(np.mean(ratios - np.log(ratios) - 1))


def test_members_with_errors_of_their_own_are_better_together() -> None:
    panel, paths = _market(3, {"a": 0.5, "b": 0.5, "c": 0.5}, days=900)
    alone = [_qlike(panel, path) for path in paths.values()]
    assert _qlike(panel, combined_paths(panel, paths, 1)) < 0.6 * min(alone)


def test_a_member_that_turns_bad_is_left_behind() -> None:
    panel, paths = _market(4, {"a": 0.3, "b": 0.3}, days=900)
    broken = np.arange(900) >= 450
    paths["b"] = {s: np.where(broken, f * 20, f) for s, f in paths["b"].items()}
    weights = pooling(panel, paths, 1).weights["A"]
    assert 0.2 < weights[449, 0] < 0.8
    assert weights[520, 0] > 0.95


@pytest.mark.parametrize(("factor", "low", "high"), [(0.5, 1.1, 2.1), (1.0, 0.95, 1.1), (2.0, 0.45, 0.85)])
def test_the_scale_corrects_what_all_members_share(factor: float, low: float, high: float) -> None:
    panel, paths = _market(5, {"a": 0.2, "b": 0.2}, days=900)
    paths = {m: {s: factor * f for s, f in own.items()} for m, own in paths.items()}
    scale = pooling(panel, paths, 1).scale["A"]
    assert (scale[:2] == 1.0).all()
    assert low < scale[-1] < high


def test_a_member_without_a_forecast_leaves_its_weight_to_the_others() -> None:
    panel, paths = _market(6, {"a": 0.3, "b": 0.3, "c": 0.3})
    paths["c"]["A"][:] = np.nan
    paths["c"]["B"][300] = paths["b"]["B"][300] = paths["a"]["B"][300] = np.nan
    got, found = combined_paths(panel, paths, 1), pooling(panel, paths, 1)
    w = found.weights["A"][400, :2] / found.weights["A"][400, :2].sum()
    want = math.exp(w @ np.log([paths["a"]["A"][400], paths["b"]["A"][400]])) * found.scale["A"][400]
    assert got["A"][400] == pytest.approx(want)
    assert np.isnan(got["B"][300])


def test_what_is_served_is_the_last_row_of_what_was_walked_forward(daily: pd.DataFrame) -> None:
    panel = build_panel(daily, COIN)
    last = max(grid.as_of[-1] for grid in panel.grids.values())
    combination = make("combination", COIN, 1, parts=list(BASELINES))
    assert isinstance(combination, Combination)
    combination.fit(panel, last)
    paths = {name: {s: part.forecast(panel, s) for s in panel.grids} for name, part in combination.parts.items()}
    combination.learn(panel, paths)
    want = combined_paths(panel, paths, 1)
    for series in panel.grids:
        assert combination.forecast(panel, series)[-1] == pytest.approx(want[series][-1], rel=1e-12)
