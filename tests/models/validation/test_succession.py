"""Who serves after an evaluation: the gate's choice, or a baseline while that choice fails its newest outcomes."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.validation.decay import MAX_RATIO, RETURN_RATIO, SIGNIFICANCE, WINDOW
from models.validation.gate import GateDecision
from models.validation.losses import qlike
from models.validation.succession import Succession, succession

MODELS = ("ewma", "log_har", "combination")


def decided(champion: str = "combination", horizon: int = 1) -> GateDecision:
    return GateDecision(horizon, champion, "log_har", champion == "combination", 300, ("why",), pd.DataFrame())


@cache
def forecasts(lately: float, days: int = 60, known: int | None = None, seed: int = 0) -> pd.DataFrame:
    """EWMA misses each log variance by 0.5, the combination by 0.3 and on the newest 28 known dates by `lately`."""
    rng = np.random.default_rng(seed)
    known = days if known is None else known
    realised = np.exp(rng.normal(-8.0, 0.5, days))
    late = (np.arange(days) >= known - WINDOW) & (np.arange(days) < known)
    miss = {"ewma": 0.5, "log_har": 0.4, "combination": np.where(late, lately, 0.3)}
    wiggle = np.exp(rng.normal(0.0, 0.01, days))
    frames = [
        pd.DataFrame(
            {
                "model": model, "series": "A", "horizon_days": 1, "managed": False, "scored": True,
                "as_of": pd.date_range("2024-01-01", periods=days, freq="D", tz="UTC"),
                "realised": np.where(np.arange(days) < known, realised, np.nan),
                "rv_forecast": realised * np.exp(-np.asarray(miss[model])) * (wiggle if model == MODELS[-1] else 1.0),
            }
        )
        for model in MODELS
    ]  # fmt: skip
    return pd.concat(frames, ignore_index=True)


@pytest.mark.parametrize(
    ("chosen", "lately", "away", "serves"),
    [
        ("combination", 0.3, False, "combination"),
        ("combination", 0.505, False, "combination"),  # a little worse than EWMA
        ("combination", 0.7, False, "log_har"),
        ("combination", 0.7, True, "log_har"),
        ("combination", 0.505, True, "log_har"),  # not yet better than EWMA
        ("combination", 0.3, True, "combination"),
        ("log_har", 0.7, False, "log_har"),  # a baseline has nothing to fall back on
        ("ewma", 0.7, True, "ewma"),
    ],
)
def test_who_serves(chosen: str, lately: float, away: bool, serves: str) -> None:
    got = succession(decided(chosen), forecasts(lately), away)
    assert (got.algorithm, got.fell_back) == (serves, serves != chosen)
    assert (got.look is None) == (got.evidence() == {}) == (chosen != "combination")


def test_the_evidence_by_hand() -> None:
    """Outcomes that are not known yet say nothing; the figures are those of the newest 28 known dates."""
    frame = forecasts(0.7, days=60, known=57)
    got = succession(decided(), frame, away=False)
    part = frame[frame["realised"].notna()].groupby("model").tail(WINDOW)
    loss = qlike(part["realised"].to_numpy(), part["rv_forecast"].to_numpy())
    mean = pd.Series(loss).groupby(part["model"].to_numpy()).mean()
    seen = json.loads(json.dumps(got.evidence(), allow_nan=False))["fallback"]
    assert seen["ratio"] == pytest.approx(mean["combination"] / mean["ewma"])
    assert seen["p_value"] < SIGNIFICANCE
    assert (seen["model"], seen["reference"], seen["dates"], seen["triggered"]) == ("combination", "ewma", 28, True)
    assert seen["until"] == "2024-02-26T00:00:00+00:00"
    assert seen["rule"] == {"above": MAX_RATIO, "p_below": SIGNIFICANCE, "returns_below": RETURN_RATIO}


def test_too_few_dates_are_no_figures() -> None:
    seen = succession(decided(), forecasts(0.7, days=20), away=False).evidence()["fallback"]
    assert (seen["ratio"], seen["p_value"], seen["triggered"]) == (None, None, False)


def lived(path: list[tuple[str, float]]) -> list[Succession]:
    """One training after the other; each knows only what the one before did."""
    out: list[Succession] = []
    for chosen, lately in path:
        out.append(succession(decided(chosen), forecasts(lately), bool(out) and out[-1].fell_back))
    return out


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["combination", "combination", "log_har"]), st.sampled_from([0.3, 0.499, 0.505, 0.7])
        ),
        max_size=5,
    )
)
def test_no_fallback_without_a_trigger_and_no_return_without_an_edge(path: list[tuple[str, float]]) -> None:
    found = lived(path)
    assert found == lived(path), "the same evaluations give the same entries"
    away = False
    for each in found:
        if each.look is not None:
            fails = each.look.ratio > MAX_RATIO and each.look.p_value < SIGNIFICANCE
            if each.fell_back and not away:
                assert fails
            if each.fell_back and away:
                assert fails or each.look.ratio >= RETURN_RATIO
            if not each.fell_back:
                assert not fails
                assert not away or each.look.ratio < RETURN_RATIO
        else:
            assert not each.fell_back
        away = each.fell_back
