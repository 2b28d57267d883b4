"""Figures by regime and the floor: hand-made losses, and challengers that are better on average only."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from models.regimes.sample import MIN_DAYS
from models.validation.by_regime import MAX_RATIO, by_regime, regime_floor
from models.validation.losses import diebold_mariano, qlike

DATES = pd.date_range("2021-01-01", periods=400, freq="D", tz="UTC")
SERIES = ("A", "B")


def regimes_of_dates(stressed: int = 100) -> np.ndarray:
    """Calm first, then normal, the last days stressed."""
    calm = np.where(np.arange(len(DATES)) < 200, "calm", "normal")
    return np.where(np.arange(len(DATES)) >= len(DATES) - stressed, "stressed", calm)


def labels(stressed: int = 100) -> pd.DataFrame:
    return pd.DataFrame(
        {"series": np.repeat(SERIES, len(DATES)), "as_of": [*DATES, *DATES], "label": [*regimes_of_dates(stressed)] * 2}
    )


def walk(misses: dict[str, dict[str, float]], stressed: int = 100, seed: int = 0) -> pd.DataFrame:
    """Models whose ln forecast misses ln V by a normal error of the size given for the regime of the day."""
    rng = np.random.default_rng(seed)
    regime = regimes_of_dates(stressed)
    frames = []
    for series in SERIES:
        realised = np.exp(rng.normal(-8, 0.5, len(DATES)))
        for model, sizes in misses.items():
            size = pd.Series(regime).map(sizes).to_numpy(dtype=float)
            forecast = realised * np.exp(size * rng.standard_normal(len(DATES)) - size**2 / 2)
            frames.append(
                pd.DataFrame(
                    {
                        "model": model, "series": series, "horizon_days": 1, "as_of": DATES, "rv_forecast": forecast,
                        "realised": realised, "threshold": np.exp(-7.5), "p_spike": 0.2, "var99": 0.02,
                        "ret_next": np.where(np.arange(len(DATES)) % 50 == 0, -0.03, 0.0), "managed": False,
                        "scored": True,
                    }
                )
            )  # fmt: skip
    return pd.concat(frames, ignore_index=True)


EVEN = {"calm": 0.5, "normal": 0.5, "stressed": 0.5}
BASE = {"ewma": {"calm": 0.7, "normal": 0.7, "stressed": 0.7}, "log_har": EVEN}


def test_the_table_by_hand() -> None:
    frame = walk({**BASE, "lightgbm": {"calm": 0.3, "normal": 0.4, "stressed": 0.9}})
    got = by_regime(frame, labels()).set_index(["regime", "model"])
    assert list(got.index)[:3] == [("calm", "ewma"), ("calm", "log_har"), ("calm", "lightgbm")]
    assert got.loc["calm", "rows"].eq(400).all()
    assert got.loc["stressed", "dates"].eq(100).all()
    stressed = frame[frame["as_of"] >= DATES[300]]
    loss = qlike(stressed["realised"].to_numpy(), stressed["rv_forecast"].to_numpy())
    mean = pd.Series(loss).groupby([stressed["model"].to_numpy(), stressed["as_of"].to_numpy()]).mean()
    row = got.loc[("stressed", "lightgbm")]
    assert row["qlike"] == pytest.approx(mean["lightgbm"].mean())
    assert row["best_baseline"] == "log_har"
    assert row["ratio_to_best_baseline"] == pytest.approx(mean["lightgbm"].mean() / mean["log_har"].mean())
    assert row["dm_p_value"] == pytest.approx(
        diebold_mariano(mean["lightgbm"].to_numpy(), mean["log_har"].to_numpy())[1]
    )
    assert math.isnan(got.loc[("stressed", "log_har"), "dm_p_value"])
    # days 300 and 350 of 100, in both series
    assert row["var99_rate"] == pytest.approx(0.02)
    outcome = stressed.loc[stressed["model"] == "lightgbm", "realised"] > math.exp(-7.5)
    assert row["spike_ece"] == pytest.approx(abs(0.2 - outcome.mean()))
    brier, base = ((0.2 - outcome) ** 2).mean(), ((0.1 - outcome) ** 2).mean()
    assert row["spike_brier_skill"] == pytest.approx(1 - brier / base)


@pytest.mark.parametrize(("stressed", "enough"), [(MIN_DAYS - 1, False), (MIN_DAYS, True)])
def test_below_sixty_dates_there_is_a_figure_but_no_test_and_no_verdict(stressed: int, enough: bool) -> None:
    frame = walk({**BASE, "lightgbm": {"calm": 0.3, "normal": 0.3, "stressed": 0.9}}, stressed)
    row = by_regime(frame, labels(stressed)).set_index(["regime", "model"]).loc[("stressed", "lightgbm")]
    assert (row["enough"], row["required"], row["dates"]) == (enough, MIN_DAYS, stressed)
    assert row["qlike"] > 0
    assert np.isfinite(row["dm_p_value"]) == enough
    floor = regime_floor(frame, labels(stressed), "lightgbm")
    assert floor.kept is not enough
    assert floor.untested == (() if enough else ("stressed",))
    assert np.isfinite(floor.ratios["stressed"]) == enough


@pytest.mark.parametrize(
    ("challenger", "kept", "because"),
    [
        ({"calm": 0.3, "normal": 0.3, "stressed": 0.3}, True, ()),
        ({"calm": 0.2, "normal": 0.2, "stressed": 0.7}, False, ("stressed",)),
        ({"calm": 0.7, "normal": 0.7, "stressed": 0.2}, False, ("calm", "normal")),
    ],
)
def test_the_floor(challenger: dict[str, float], kept: bool, because: tuple[str, ...]) -> None:
    floor = regime_floor(walk({**BASE, "lightgbm": challenger}), labels(), "lightgbm")
    assert (floor.kept, floor.baseline) == (kept, "log_har")
    assert tuple(reason.split(":")[0] for reason in floor.reasons) == because


@pytest.mark.parametrize(("ratio", "kept"), [(MAX_RATIO - 1e-6, True), (MAX_RATIO + 1e-6, False)])
def test_both_sides_of_the_floor(ratio: float, kept: bool) -> None:
    frame = walk({"log_har": EVEN})
    # QLIKE of V / F = c is c - ln c - 1: a forecast whose loss is `ratio` times the baseline's on every row.
    c = 1.5
    base = c - math.log(c) - 1
    worse = c
    for _ in range(60):
        worse -= (worse - math.log(worse) - 1 - ratio * base) / (1 - 1 / worse)
    both = pd.concat(
        [
            frame.assign(rv_forecast=frame["realised"] / c),
            frame.assign(model="lightgbm", rv_forecast=frame["realised"] / worse),
        ]
    )
    assert regime_floor(both, labels(), "lightgbm").kept is kept


def test_the_floor_is_held_against_what_would_serve_instead() -> None:
    """HAR is best in the stressed regime alone; without the challenger log-HAR would serve there as well."""
    sizes = {"har": {"calm": 0.8, "normal": 0.8, "stressed": 0.3}, "log_har": EVEN, "lightgbm": {**EVEN, "calm": 0.3}}
    frame = walk(sizes)
    table = by_regime(frame, labels()).set_index(["regime", "model"])
    assert table.loc[("stressed", "lightgbm"), "best_baseline"] == "har"
    assert regime_floor(frame, labels(), "lightgbm").baseline == "log_har"
    against_har = regime_floor(frame, labels(), "lightgbm", "har")
    assert (against_har.baseline, against_har.kept) == ("har", False)
    assert against_har.ratios["calm"] < 1 < against_har.ratios["stressed"]


def test_rows_without_a_regime_are_left_out() -> None:
    some = labels()
    some.loc[some["series"] == "B", "label"] = None
    got = by_regime(walk(BASE), some.iloc[5:])
    assert got.groupby("model")["rows"].sum().eq(395).all()
    assert by_regime(walk(BASE), some[some["series"] == "B"]).empty


def test_an_infinite_loss_breaks_the_floor() -> None:
    """A forecast that is no variance costs the cap, and without a cap everything."""
    frame = walk({**BASE, "lightgbm": {"calm": 0.3, "normal": 0.3, "stressed": 0.3}})
    late = (frame["model"] == "lightgbm") & (frame["as_of"] >= DATES[390])
    assert regime_floor(frame, labels(), "lightgbm").kept
    frame.loc[late, "rv_forecast"] = -1.0
    assert not regime_floor(frame, labels(), "lightgbm").kept
    table = by_regime(frame, labels()).set_index(["regime", "model"])
    assert table.loc[("stressed", "lightgbm"), "ratio_uncapped"] == math.inf


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f, known: (pd.concat([f, f.assign(horizon_days=7)]), known), "one horizon at a time"),
        (lambda f, known: (f, pd.concat([known, known])), "two regimes for one origin"),
        (lambda f, known: (f, known.assign(label="panic")), "no regimes"),
    ],
)
def test_what_cannot_be_compared_is_refused(spoil: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        by_regime(*spoil(walk(BASE), labels()))  # type: ignore[operator]


def test_a_challenger_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="no comparable row of 'gru'"):
        regime_floor(walk(BASE), labels(), "gru")
    with pytest.raises(ValueError, match="no comparable row of 'garch'"):
        regime_floor(walk(BASE), labels(), "log_har", "garch")
