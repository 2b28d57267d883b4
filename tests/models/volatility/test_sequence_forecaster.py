"""The three sequence members: what they start from, what they may see, and that they find what is there to find."""

import json
import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from models.contracts.market import SeriesKind
from models.volatility import sequence_forecaster, sequence_training
from models.volatility.bundle import load_bundle
from models.volatility.bundle_fit import fit_bundle
from models.volatility.har_x import LogHarX
from models.volatility.members import NETWORKS, make
from models.volatility.panel import Panel, build_panel
from models.volatility.targets import forward_mean
from models.volatility.walk_forward import pooled_paths, walk_forward

COIN = SeriesKind.CANDLES
FITTED_AT = 800


@pytest.fixture(scope="module")
def panel(daily: pd.DataFrame) -> Panel:
    return build_panel(daily, COIN)


def _fitted(name: str, panel: Panel, horizon: int = 1, threads: int = 1) -> sequence_forecaster.SequenceForecaster:
    member = make(name, COIN, horizon, threads)
    member.fit(panel, panel.grids["AAA"].as_of[FITTED_AT])
    assert isinstance(member, sequence_forecaster.SequenceForecaster)
    return member


def _moved(member: sequence_forecaster.SequenceForecaster) -> bool:
    """Whether training changed anything: no test below means much if it did not."""
    return any(weights["head_weight"].any() for weights in member.networks)


@pytest.fixture(scope="module", params=NETWORKS)
def member(request: pytest.FixtureRequest) -> sequence_forecaster.SequenceForecaster:
    """A member that found something: one network on the planted panel, with the steps that so few rows need."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sequence_forecaster, "SEEDS", (20,))
        for name, value in (("MAX_EPOCHS", 40), ("PATIENCE", 40), ("BATCH_ROWS", 128), ("LEARNING_RATE", 5e-3)):
            patch.setattr(sequence_training, name, value)
        return _fitted(request.param, build_panel(_planted(), COIN))


@pytest.fixture
def restless(monkeypatch: pytest.MonkeyPatch) -> list[tuple[sequence_training.Sample, sequence_training.Sample]]:
    """Short trainings that always end somewhere new, as they judge themselves; what they were given to learn from."""
    seen = []

    def train(cell: str, learn: sequence_training.Sample, check: sequence_training.Sample, seed: int) -> object:
        seen.append((learn, check))
        return own(cell, learn, learn, seed)

    own = sequence_training.train
    monkeypatch.setattr(sequence_training, "train", train)
    monkeypatch.setattr(sequence_training, "MAX_EPOCHS", 2)
    monkeypatch.setattr(sequence_forecaster, "SEEDS", (20, 21))
    return seen


def test_untrained_it_is_its_base_to_the_bit(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequence_training, "MAX_EPOCHS", 0)
    for name in NETWORKS:
        member = _fitted(name, panel)
        base = LogHarX(COIN, 1)
        base.fit(panel, panel.grids["AAA"].as_of[FITTED_AT])
        assert len(member.networks) == len(sequence_forecaster.SEEDS)
        assert member.forecast(panel, "BBB", 40).tobytes() == base.forecast(panel, "BBB", 40).tobytes()


@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_seed_gives_the_same_bytes_on_any_number_of_threads(
    panel: Panel, restless: object, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = [_fitted(name, panel, threads=threads) for threads in (1, 1, 2)]
    assert _moved(members[0])
    first, again, spread = (json.dumps(member.state()) for member in members)
    assert first == again == spread
    monkeypatch.setattr(sequence_forecaster, "SEEDS", (5, 6))
    assert json.dumps(_fitted(name, panel).state()) != first


@pytest.mark.parametrize("horizon", [1, 7])
def test_purge_open_windows_and_the_embargoed_day_do_not_train(
    daily: pd.DataFrame, restless: list[tuple[sequence_training.Sample, ...]], horizon: int
) -> None:
    moment = build_panel(daily, COIN).grids["AAA"].as_of[FITTED_AT]
    changed = daily.copy()
    late = pd.DatetimeIndex(changed["as_of"]).tz_localize(None) >= moment
    changed.loc[late, ["rv", "rv_6h", "rv_12h", "parkinson"]] *= 50
    changed.loc[late, "ret"] *= -3
    members = [_fitted("tcn", build_panel(rows, COIN), horizon) for rows in (daily, changed)]
    assert _moved(members[0])
    assert members[0].state() == members[1].state()
    first, second = restless[0], restless[len(sequence_forecaster.SEEDS)]
    for one, other in zip(first, second, strict=True):
        for name in ("days", "ends", "ratios"):
            assert getattr(one, name).tobytes() == getattr(other, name).tobytes()


@pytest.mark.parametrize("horizon", [1, 7])
def test_what_judges_is_newer_than_all_outcomes_that_train(
    panel: Panel, restless: list[tuple[sequence_training.Sample, sequence_training.Sample]], horizon: int
) -> None:
    _fitted("tcn", panel, horizon)
    learn, check = restless[0]
    size = len(learn.days) // 3  # the three series have the same calendar
    assert min(check.ends % size) - max(learn.ends % size) == horizon + 1
    assert len(check.ends) == pytest.approx(0.15 * (len(learn.ends) + len(check.ends)), rel=0.1)
    assert max(check.ends % size) == size - 1


@pytest.mark.parametrize("horizon", [1, 7])
def test_a_changed_future_leaves_the_past_bit_for_bit(daily: pd.DataFrame, restless: object, horizon: int) -> None:
    cut = daily["as_of"].iloc[860]
    changed = daily.copy()
    late = changed["as_of"] > cut
    changed.loc[late, ["rv", "rv_6h", "rv_12h", "parkinson"]] *= 7.0
    changed.loc[late, "ret"] *= -3.0
    changed.loc[late, ["jump_share", "neg_share"]] = 0.5
    names = NETWORKS if horizon == 1 else ("tcn",)  # what could leak at another horizon is in what they share
    before, after = (walk_forward(rows, COIN, horizon, names) for rows in (daily, changed))
    base = walk_forward(daily, COIN, horizon, ["log_har_x"])
    for name in names:
        old, new = (part[(part["model"] == name) & (part["as_of"] <= cut)] for part in (before, after))
        assert len(old) > 1000
        assert old["rv_forecast"].to_numpy().tobytes() == new["rv_forecast"].to_numpy().tobytes()
        assert (old["rv_forecast"].to_numpy() != base[base["as_of"] <= cut]["rv_forecast"].to_numpy()).mean() > 0.9
    assert before["rv_forecast"].sum() != after["rv_forecast"].sum()


@pytest.mark.parametrize("name", NETWORKS)
def test_neither_threads_nor_shares_show_in_a_walk_forward(panel: Panel, restless: object, name: str) -> None:
    alone = pooled_paths(panel, make(name, COIN, 1))
    shares = [pooled_paths(panel, make(name, COIN, 1, threads=2), share, 2) for share in (0, 1)]
    for series in panel.grids:
        assert np.isfinite(alone[series]).sum() == 940 - 365
        assert alone[series].tobytes() == np.fmax(*(share[series] for share in shares)).tobytes()


def test_a_refresh_moves_the_base_and_keeps_the_networks(
    panel: Panel, member: sequence_forecaster.SequenceForecaster
) -> None:
    before = member.state()
    other = make(member.name, COIN, 1)
    other.restore(before)
    other.refresh(panel, panel.grids["AAA"].as_of[500])
    after = other.state()
    assert after["networks"] == before["networks"]
    assert after["base"]["AAA"] != before["base"]["AAA"]


def test_it_reloads_to_the_same_bits(member: sequence_forecaster.SequenceForecaster) -> None:
    planted = build_panel(_planted(), COIN)
    again = make(member.name, COIN, 1)
    again.restore(json.loads(json.dumps(member.state(), allow_nan=False)))
    assert _moved(member)
    for series in planted.grids:
        got = member.forecast(planted, series)
        assert again.forecast(planted, series).tobytes() == got.tobytes()


def test_other_inputs_are_refused(member: sequence_forecaster.SequenceForecaster) -> None:
    with pytest.raises(ValueError, match="trained on other inputs"):
        make(member.name, COIN, 1).restore({**member.state(), "inputs": ["shock"]})


def test_terms_sum_to_the_logarithm_of_the_forecast(member: sequence_forecaster.SequenceForecaster) -> None:
    planted = build_panel(_planted(), COIN)
    grid = planted.grids["BBB"]
    for row in (40, 400, len(grid) - 1):
        terms = member.terms(planted, "BBB", row)
        assert len({term.name for term in terms}) == len(terms)
        total = math.fsum(term.contribution for term in terms)
        assert total == pytest.approx(math.log(member.forecast(planted, "BBB", row, row + 1)[0]), abs=1e-9)


def test_what_no_input_explains_is_a_constant(member: sequence_forecaster.SequenceForecaster) -> None:
    """The usual level takes what the networks make of the neutral window, and no more than rounding beside it."""
    planted = build_panel(_planted(), COIN)
    neutral = float(member._added(np.zeros((1, sequence_forecaster.WINDOW, len(member.inputs))))[0])
    for row in (300, 500, 900):
        gap = member.terms(planted, "AAA", row)[0].contribution - member.base.terms(planted, "AAA", row)[0].contribution
        assert gap == pytest.approx(neutral, abs=1e-6)


def test_without_training_there_is_no_forecast(daily: pd.DataFrame) -> None:
    few = build_panel(daily[daily.groupby("series").cumcount() < 290], COIN)  # 3 x 260 rows of 800
    member = make("lstm", COIN, 1)
    member.fit(few, few.grids["AAA"].as_of[-1])
    assert np.isnan(member.forecast(few, "AAA")).all()
    with pytest.raises(ValueError, match="have not been trained"):
        member.terms(few, "AAA", 280)


def _planted(strength: float = 1.2, days: int = 1100, seed: int = 3) -> pd.DataFrame:
    """Four coins whose variance follows a curve of `neg_share` two days before: no line through it, not today's row."""
    rng = np.random.default_rng(seed)
    frames = []
    for name in ("AAA", "BBB", "CCC", "DDD"):
        share = rng.uniform(0, 1, days)
        curve = strength * (4 * np.abs(share - 0.5) - 1)  # mean zero, and no correlation with the share
        level = np.zeros(days)
        for day in range(1, days):
            level[day] = 0.8 * level[day - 1] + 0.2 * rng.standard_normal()
        log_rv = np.log(9e-4) + level + np.roll(curve, 3) + 0.1 * rng.standard_normal(days)
        index = pd.date_range("2021-01-01", periods=days, freq="D", tz="UTC")
        frames.append(
            pd.DataFrame(
                {
                    "series": name,
                    "as_of": index,
                    "rv": np.exp(log_rv),
                    "ret": np.exp(log_rv / 2) * rng.standard_normal(days),
                    "neg_share": share,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def _loss(panel: Panel, member: sequence_forecaster.SequenceForecaster | LogHarX) -> float:
    """Mean QLIKE after the fit."""
    out = []
    for series, grid in panel.grids.items():
        ratio = (forward_mean(grid.rv, 1) / member.forecast(panel, series))[FITTED_AT:-1]
        out.append(ratio - np.log(ratio) - 1)
    return float(np.mean(out))


def test_networks_find_a_curve_in_the_past_that_their_base_cannot(
    member: sequence_forecaster.SequenceForecaster,
) -> None:
    planted = build_panel(_planted(), COIN)
    assert _loss(planted, member) < 0.6 * _loss(planted, member.base)


@pytest.mark.parametrize("name", NETWORKS)
def test_without_a_curve_they_find_nothing(name: str) -> None:
    plain = build_panel(_planted(strength=0.0), COIN)
    trained = _fitted(name, plain)
    assert _loss(plain, trained) == pytest.approx(_loss(plain, trained.base), rel=0.03)


def test_a_bundle_scores_without_torch(daily: pd.DataFrame, tmp_path) -> None:
    frame = walk_forward(daily, COIN, 1, ["gru"])
    bundle = fit_bundle(daily, COIN, 1, "gru", frame)
    bundle.save(tmp_path)
    daily.to_pickle(tmp_path / "rows.pkl")
    code = """if True:
        import sys, pathlib, pandas
        from models.volatility.bundle import load_bundle
        folder = pathlib.Path(sys.argv[1])
        got = load_bundle(folder).predict(pandas.read_pickle(folder / "rows.pkl"))
        print("torch" in sys.modules, got["rv_forecast"].map(float.hex).tolist())
    """
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    want = load_bundle(tmp_path).predict(daily)["rv_forecast"].map(float.hex).tolist()
    assert done.stdout.strip() == f"False {want}"
