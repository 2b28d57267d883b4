"""The gate and what stands around it, on planted members whose quality is known."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy import special

from models.contracts.market import SeriesKind
from models.validation.champion_path import champion_path, champions
from models.validation.evaluation import PANEL, comparable, evaluate, panel_losses
from models.validation.gate import decide, preferred
from models.validation.plots import forecast_against_realised, loss_over_time, reliability_diagram

N = 700
SERIES = ("A", "B", "C")
Noise = dict[str, float]


def _spike_probability(seen: np.ndarray, noise: float) -> np.ndarray:
    """P(ln V > -7.1) given ln V ~ N(-8, 0.7^2) seen through a normal error."""
    gain = 0.49 / (0.49 + noise**2)
    return special.ndtr((-8 + gain * (seen + 8) + 7.1) / (noise * np.sqrt(gain)))


def _frame(seed: int = 0, worst_days: bool = False, **noise: float) -> pd.DataFrame:
    """Members whose log forecast misses ln V by a normal error of the given size. `worst_days`: the challenger
    knows every day but the 1 % of days on which variance is 400 times what it says."""
    rng = np.random.default_rng(seed)
    as_of = pd.date_range("2020-01-01", periods=N, freq="D", tz="UTC")
    frames = []
    for series in SERIES:
        log_v = rng.normal(-8, 0.7, N)
        wild = rng.random(N) < 0.01
        log_v[wild] += 6.0
        for model, size in noise.items():
            log_f = log_v + rng.normal(0, size, N) - size**2 / 2
            if worst_days:
                log_f = np.where(wild, log_v - (6.0 if model == "lightgbm" else 4.0), log_f)
            frames.append(
                pd.DataFrame(
                    {
                        "model": model, "series": series, "horizon_days": 1, "origin": as_of.tz_localize(None),
                        "as_of": as_of, "issued_at": as_of, "known_at": as_of + pd.Timedelta(days=2),
                        "rv_forecast": np.exp(log_f), "realised": np.exp(log_v),
                        "threshold": np.exp(-7.1), "score": 50.0,
                        "p_spike": _spike_probability(log_f + size**2 / 2, size),
                        "var99": 2.33 * np.exp(log_f / 2), "es99": 2.67 * np.exp(log_f / 2),
                        "ret_next": rng.normal(size=N) * np.exp(log_v / 2), "managed": False,
                        "scored": np.arange(N) >= 50,
                    }
                )
            )  # fmt: skip
    return pd.concat(frames, ignore_index=True)


BASE: Noise = {"ewma": 0.7, "log_har": 0.5}


@pytest.mark.parametrize(
    ("noise", "champion", "because"),
    [
        ({**BASE, "lightgbm": 0.3}, "lightgbm", "lightgbm passed"),
        ({**BASE, "lightgbm": 0.9}, "log_har", "is not below it"),  # the planted bad model
        ({**BASE, "lightgbm": 0.4995}, "log_har", "could be chance"),
        ({"ewma": 0.4, "log_har": 0.5, "lightgbm": 0.45}, "ewma", "ewma is the baseline in force"),
        (BASE, "log_har", "log_har is the baseline in force"),
    ],
)
def test_the_gate(noise: Noise, champion: str, because: str) -> None:
    decision = decide(_frame(**noise))
    assert decision.champion == champion
    assert because in " / ".join(decision.reasons)
    assert decision.promoted is (champion == "lightgbm")
    assert decision.table.set_index("model").loc[champion, "accepted"]
    assert decision.table["accepted"].sum() == 1


def test_a_model_that_misses_the_worst_days_is_refused_although_the_cap_forgives_it() -> None:
    decision = decide(_frame(worst_days=True, **{**BASE, "lightgbm": 0.2}))
    assert decision.champion == "log_har"
    figures = decision.table.set_index("model").loc["lightgbm"]
    assert figures["ratio"] < 1
    assert figures["ratio_uncapped"] > 1
    assert "under-forecasts the worst days" in decision.reasons[-1]


def test_the_combination_is_preferred_until_a_single_one_is_significantly_better() -> None:
    for single, champion in ((0.3, "combination"), (0.2, "lightgbm")):
        frame = _frame(**{**BASE, "lightgbm": single, "combination": 0.302})
        losses = panel_losses(comparable(frame))
        assert preferred(losses, ["lightgbm", "combination"], "combination", 1) == champion
    reasons = decide(_frame(**{**BASE, "lightgbm": 0.3, "combination": 0.302})).reasons
    assert reasons[-1] == "combination chosen among them"


def test_a_baseline_in_force_gives_way_to_evidence_only() -> None:
    for size, baseline in ((0.499, "log_har"), (0.4, "har")):
        assert decide(_frame(ewma=0.7, log_har=0.5, har=size)).champion == baseline


@pytest.mark.parametrize(
    ("change", "because"),
    [
        ({}, "lightgbm passed"),
        ({"p_spike": 2.0}, "its spike probabilities are off by"),
        ({"var99": 0.7}, "of the days lost more than VaR 99"),
        ({"var99": 2.0}, "0.00% of the days lost more than VaR 99"),
    ],
)
def test_probabilities_and_tails_that_may_not_be_published_refuse_a_challenger(change: Noise, because: str) -> None:
    frame = _frame(**{**BASE, "lightgbm": 0.3})
    for column, factor in change.items():
        own = frame["model"] == "lightgbm"
        frame.loc[own, column] = np.minimum(frame.loc[own, column] * factor, 1.0)
    decision = decide(frame)
    assert decision.champion == ("log_har" if change else "lightgbm")
    assert because in " / ".join(decision.reasons)


def test_a_challenger_may_not_lose_where_it_is_stressed() -> None:
    frame = _frame(**{**BASE, "lightgbm": 0.3})
    stressed = frame["realised"] > np.exp(-7.5)
    frame["regime"] = np.where(stressed, "stressed", "calm")
    assert decide(frame).champion == "lightgbm"
    own = stressed & (frame["model"] == "lightgbm")
    frame.loc[own, "rv_forecast"] *= np.exp(0.9)
    decision = decide(frame)
    assert decision.table.set_index("model").loc["lightgbm", "ratio"] < 1
    assert decision.champion == "log_har"
    assert "stressed: QLIKE" in " / ".join(decision.reasons)


def _weekly(advantage: float) -> pd.DataFrame:
    """Members whose losses share the noise of overlapping weeks: an advantage alone takes years to be seen."""
    frame = _frame(**{**BASE, "lightgbm": 0.5}).sort_values(["model", "series", "as_of"])
    for model, size in {**BASE, "lightgbm": 0.5 - advantage}.items():
        rng = np.random.default_rng(len(model))
        for series in SERIES:
            rows = (frame["model"] == model) & (frame["series"] == series)
            week = np.convolve(rng.normal(0, size, N + 6), np.ones(7), "valid") / np.sqrt(7)
            frame.loc[rows, "rv_forecast"] = frame.loc[rows, "realised"] * np.exp(week - size**2 / 2)
    return frame.assign(horizon_days=7)


def test_evidence_of_the_other_horizon_counts() -> None:
    week, day = _weekly(0.005), _frame(**{**BASE, "lightgbm": 0.3})
    assert decide(week).champion == "log_har"
    assert "could be chance" in decide(week).reasons[-1]
    assert decide(week, day).champion == "lightgbm"
    assert decide(week, _frame(**{**BASE, "lightgbm": 0.6})).champion == "log_har"
    worse = decide(_weekly(-0.1), day)
    assert worse.champion == "log_har", "a challenger that is worse at this horizon is not helped by the other one"


def test_a_series_that_a_member_cannot_forecast_is_told() -> None:
    frame = _frame(**{**BASE, "lightgbm": 0.3})
    silent = (frame["model"] == "lightgbm") & (frame["series"] == "B")
    assert decide(frame[~silent]).reasons[-1] == "not compared, for want of a forecast: B (lightgbm)"
    assert "not compared" not in " / ".join(decide(frame).reasons)


def test_a_forecast_that_is_no_variance_is_refused() -> None:
    frame = _frame(**{**BASE, "lightgbm": 0.1})
    frame.loc[frame.query("model == 'lightgbm' and scored").index[0], "rv_forecast"] = -1.0
    decision = decide(frame)
    assert decision.champion == "log_har"
    assert "not finite" in decision.reasons[-1]


def test_too_little_evidence_leaves_ewma() -> None:
    frame = _frame(**{**BASE, "lightgbm": 0.1})
    decision = decide(frame[frame["as_of"] < frame["as_of"].min() + pd.Timedelta(days=50 + 249)])
    assert (decision.champion, decision.dates, decision.promoted) == ("ewma", 249, False)


def test_one_horizon_at_a_time() -> None:
    frame = _frame(**BASE)
    with pytest.raises(ValueError, match="one horizon at a time"):
        decide(pd.concat([frame, frame.assign(horizon_days=7)]))


def test_only_rows_that_all_members_share_are_compared() -> None:
    frame = _frame(**BASE)
    frame.loc[frame["as_of"].dt.day == 1, "managed"] = True
    late = (frame["model"] == "log_har") & (frame["as_of"] < "2020-06-01")
    rows = comparable(frame[~late])
    assert rows["as_of"].min() == pd.Timestamp("2020-06-02", tz="UTC")
    assert (rows.groupby(["series", "as_of"]).size() == 2).all()


def test_the_evaluation_has_a_row_for_each_series_and_the_panel() -> None:
    got = evaluate(_frame(**{**BASE, "lightgbm": 0.3})).set_index(["series", "model"])
    assert set(got.index.get_level_values("series")) == {*SERIES, PANEL}
    assert got.loc[("A", "log_har"), "ratio_to_best_baseline"] == 1.0
    assert np.isnan(got.loc[("A", "log_har"), "dm_p_value"])
    assert got.loc[(PANEL, "lightgbm"), "dm_p_value"] < 0.01
    assert got.loc[(PANEL, "lightgbm"), "rows"] == 3 * 650
    assert got.loc[(PANEL, "lightgbm"), "spike_auc"] > got.loc[(PANEL, "ewma"), "spike_auc"] > 0.5
    assert got.loc[(PANEL, "lightgbm"), "var99_rate"] == pytest.approx(0.013, abs=0.01)


def test_the_champion_path_has_no_hindsight() -> None:
    frame = _frame(**{**BASE, "lightgbm": 0.3})
    path = champion_path(frame, SeriesKind.CANDLES)
    assert not path.duplicated(["series", "as_of"]).any()
    assert len(path) == 3 * 650
    assert path.sort_values("as_of")["model"].iloc[0] == "ewma"  # no evidence yet
    assert path.sort_values("as_of")["model"].iloc[-1] == "lightgbm"
    changed = frame.copy()
    cut = pd.Timestamp("2021-06-01", tz="UTC")
    spoiled = (changed["as_of"] > cut) & (changed["model"] == "lightgbm")
    changed.loc[spoiled, "rv_forecast"] *= 50
    before, after = (champions(rows, SeriesKind.CANDLES)[:cut] for rows in (frame, changed))
    pd.testing.assert_series_equal(before, after)
    assert champions(changed, SeriesKind.CANDLES).iloc[-1] == "log_har"


def test_losses_count_from_the_moment_their_outcome_is_known() -> None:
    frame = _frame(**{**BASE, "lightgbm": 0.3})
    late = frame.assign(known_at=frame["known_at"] + pd.Timedelta(days=112))
    first, delayed = (
        (path == "lightgbm").idxmax() for path in (champions(f, SeriesKind.CANDLES) for f in (frame, late))
    )
    assert delayed - first == pd.Timedelta(days=112)  # two decision dates
    one_open = frame.assign(known_at=frame["known_at"].where(frame["series"] != "B"))
    assert set(champions(one_open, SeriesKind.CANDLES)) == {"ewma"}  # a date counts when all its outcomes are known


def test_pictures() -> None:
    frame = _frame(**BASE)
    for figure in (loss_over_time(frame), reliability_diagram(frame), forecast_against_realised(frame, "ewma", "A")):
        assert isinstance(figure, Figure)
        assert len(figure.axes[0].lines) >= 2
        figure.canvas.draw()
