"""Regimes of a series at its origins: what is said when, and that nothing said depends on what came later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import pandas as pd
import pytest

from models.contracts.horizons import PROTOCOLS
from models.contracts.market import SeriesKind
from models.regimes.labels import (
    COLUMNS,
    NO_VERSION,
    FittedChain,
    chains_until_now,
    known_regimes,
    observed,
    regimes_of,
)
from models.regimes.states import Method
from models.volatility.panel import Grid, build_panel

Result = TypeVar("Result")
CANDLES = SeriesKind.CANDLES
DAILY = PROTOCOLS[CANDLES]
DAYS = 900
MOVE = np.array([[0.97, 0.03, 0.0], [0.02, 0.96, 0.02], [0.0, 0.05, 0.95]])
LEVEL = np.array([-8.5, -7.0, -5.5])


def rows(days: int = DAYS, seed: int = 0, kind: SeriesKind = CANDLES, stressed: bool = True) -> pd.DataFrame:
    """A coin or rate that moves between three levels of variance; its first day is missing, as of real bars."""
    rng = np.random.default_rng(seed)
    state = 0
    states = []
    for _ in range(days):
        state = int(rng.choice(3, p=MOVE[state]))
        states.append(state)
    rv = np.exp(LEVEL[np.array(states)] + 0.7 * rng.standard_normal(days)) if stressed else np.full(days, 1e-4)
    rv[0] = np.nan
    freq = "D" if kind is CANDLES else "B"
    as_of = pd.date_range("2020-01-02", periods=days, freq=freq, tz="UTC")
    ret = np.sqrt(rv) * rng.standard_normal(days)
    return pd.DataFrame({"series": "AAA", "as_of": as_of, "rv": rv, "ret": ret, "is_held": 0.0, "unchanged_share": 0.0})


def grid_of(frame: pd.DataFrame, kind: SeriesKind = CANDLES) -> Grid:
    return build_panel(frame, kind).grids["AAA"]


def told(frame: pd.DataFrame, kind: SeriesKind = CANDLES, known: tuple[FittedChain, ...] = ()) -> pd.DataFrame:
    grid, protocol = grid_of(frame, kind), PROTOCOLS[kind]
    return regimes_of(grid, kind, protocol, chains_until_now(observed(grid, kind), grid.as_of, protocol, known))


def of(frame: pd.DataFrame, method: Method = Method.HMM) -> pd.DataFrame:
    return frame[frame["method"] == method.value].reset_index(drop=True)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return told(rows())


def test_one_row_a_method_and_origin(frame: pd.DataFrame) -> None:
    assert tuple(frame.columns) == COLUMNS
    assert len(frame) == 2 * DAYS
    assert not frame.duplicated(["as_of", "method"]).any()
    labelled = frame["label"].notna()
    assert (labelled == frame["status"].isin(["ok", "degraded"])).all()
    p = of(frame)[["p_calm", "p_normal", "p_stressed"]]
    there = p.notna().all(axis=1)
    assert (there == of(frame)["label"].notna()).all()
    np.testing.assert_allclose(p[there].sum(axis=1), 1.0, atol=1e-12)
    assert of(frame, Method.RULE)[["p_calm", "p_normal", "p_stressed"]].isna().all(axis=None)


@pytest.mark.parametrize("method", list(Method))
def test_a_regime_says_something_about_the_next_day(frame: pd.DataFrame, method: Method) -> None:
    grid = grid_of(rows())
    ahead = pd.Series(np.append(grid.rv[1:], np.nan)).groupby(of(frame, method)["label"]).mean()
    assert ahead["stressed"] > 2.5 * ahead["calm"]
    assert ahead["stressed"] > ahead["normal"] > ahead["calm"]


@pytest.mark.parametrize("cut", [420, 600, 757, 758, 880])
def test_the_past_is_the_same_when_the_future_is_cut_or_altered(frame: pd.DataFrame, cut: int) -> None:
    """Bit for bit, in every column; 757 and 758 stand on both sides of a refit."""
    altered = rows()
    altered.loc[cut:, "rv"] *= 400.0
    altered.loc[cut:, "ret"] *= -5.0
    altered.loc[cut + 3 :: 7, "rv"] = np.nan
    before = frame[frame["as_of"] < frame["as_of"].iloc[cut]].reset_index(drop=True)
    for other in (rows().iloc[:cut], altered):
        again = told(other)
        again = again[again["as_of"] < frame["as_of"].iloc[cut]].reset_index(drop=True)
        pd.testing.assert_frame_equal(again, before, check_exact=True)


def test_fits_come_every_56_days_and_are_frozen_in_between(frame: pd.DataFrame) -> None:
    versions = of(frame)["model_version"]
    assert (versions[:365] == NO_VERSION).all()
    assert versions[365:].groupby(versions).size().iloc[:-1].eq(56).all()
    assert versions.nunique() == 1 + len(range(365, DAYS, 56))


def test_fits_that_were_made_stay_whatever_becomes_of_the_data() -> None:
    early, late = rows().iloc[:600], rows()
    grid = grid_of(early)
    known = chains_until_now(observed(grid, CANDLES), grid.as_of, DAILY)
    late.loc[100:110, "rv"] *= 50.0  # corrected after the fits
    grid = grid_of(late)
    chains = chains_until_now(observed(grid, CANDLES), grid.as_of, DAILY, known)
    assert chains[: len(known)] == known
    assert [str(c.fitted_at)[:10] for c in chains[len(known) :]] == [
        str(day)[:10] for day in grid.as_of[365 + 56 * len(known) :: 56]
    ]
    assert chains_until_now(observed(grid, CANDLES), grid.as_of, DAILY, chains) == chains


@pytest.mark.parametrize("row", [300, 500, 757, 899])
def test_asking_for_the_newest_rows_only_gives_the_same_rows(frame: pd.DataFrame, row: int) -> None:
    grid = grid_of(rows())
    chains = chains_until_now(observed(grid, CANDLES), grid.as_of, DAILY)
    got = regimes_of(grid, CANDLES, DAILY, chains, grid.as_of[row])
    want = frame[frame["as_of"] > frame["as_of"].iloc[row]].reset_index(drop=True)
    pd.testing.assert_frame_equal(got, want, check_exact=True, check_dtype=False)


def test_why_there_is_no_label_yet(frame: pd.DataFrame) -> None:
    first = of(frame).iloc[100]
    assert (first["status"], first["required"], first["received"]) == ("insufficient_data", 366, 101)
    assert first["reasons"] == ["366 days by the first date of a fit required, 101 received"]
    rule = of(frame, Method.RULE).iloc[100]
    assert (rule["status"], rule["required"]) == ("insufficient_data", 219)
    assert rule["received"] < 101
    assert first["trend"] in ("up", "flat", "down")  # needs a month, not a regime
    assert 0.0 <= first["changepoint"] <= 1.0


def test_a_regime_of_few_days_is_no_regime() -> None:
    """Calm for 390 days, then stressed: the label waits until sixty days of each have been seen."""
    calm = rows(560, stressed=False)
    rng = np.random.default_rng(1)
    level = np.where(np.arange(560) < 390, -9.0, -5.0) + np.where(np.arange(560) % 100 < 45, 1.5, 0.0)
    calm["rv"] = np.exp(level + 0.3 * rng.standard_normal(560))
    got = of(told(calm))
    waiting = got[(got["status"] == "insufficient_data") & (got["required"] == 60)]
    assert len(waiting) > 0
    assert (waiting["received"] < 60).all()
    assert waiting["reasons"].str[0].str.startswith("60 days in each regime required, received: calm").all()
    assert waiting["label"].isna().all()


@pytest.mark.parametrize(
    ("column", "value", "status", "reason"),
    [
        ("is_held", 1.0, "quarantined", "is held"),
        ("unchanged_share", 0.21, "managed", "stood still"),
        ("rv", np.nan, "degraded", "the day is missing: the state is carried forward"),
    ],
)
def test_days_that_are_not_believed_say_so_and_teach_nothing(
    column: str, value: float, status: str, reason: str
) -> None:
    kind = SeriesKind.RANGES
    spoiled = rows(700, kind=kind)
    spoiled.loc[650, column] = value
    got = of(told(spoiled, kind))
    assert got["status"].iloc[650] == status
    assert reason in got["reasons"].iloc[650][0]
    missing = rows(700, kind=kind)
    missing.loc[650, "rv"] = np.nan
    names = ["p_calm", "p_normal", "p_stressed"]
    after = of(told(missing, kind)).loc[651:, names]
    assert after.notna().all(axis=None)
    pd.testing.assert_frame_equal(got.loc[651:, names], after, check_exact=True)


def test_a_series_too_short_for_anything_has_rows_that_say_so() -> None:
    got = told(rows(5))
    assert len(got) == 10
    assert set(got["status"]) == {"insufficient_data"}
    assert got[["changepoint", "trend_strength"]].isna().all(axis=None)


class Several:
    """So many workers, one after the other."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def __call__(self, tasks: Sequence[Callable[[], Result]]) -> list[Result]:
        return [task() for task in tasks]


@pytest.mark.parametrize("workers", [2, 3, 8])
def test_regimes_of_a_panel_do_not_depend_on_the_number_of_workers(workers: int) -> None:
    panel = build_panel(pd.concat([rows(200, seed).assign(series=f"S{seed}") for seed in range(3)]), CANDLES)
    assert list(panel.grids) == ["S0", "S1", "S2"]
    pd.testing.assert_frame_equal(known_regimes(panel), known_regimes(panel, Several(workers)), check_exact=True)
