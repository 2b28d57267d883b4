"""What a run is held against: equal exposure, other times, parts of its own; and the report of all of it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal as D

import numpy as np
import pytest

from models.backtest.bars import Bars
from models.backtest.comparison import EPOCH, Window, by_regime, equal_exposure_mix, in_windows
from models.backtest.costs import Costs
from models.backtest.engine import Execution
from models.backtest.metrics import sharpe
from models.backtest.placebo import _moved, circular_shifts
from models.backtest.plain import as_plain
from models.backtest.plain_strategies import ConstantMix, Hold
from models.backtest.records import BacktestRun, Trade
from models.backtest.report import build
from models.backtest.run import run_fast
from models.backtest.score_strategies import ScorePolicy
from models.backtest.strategy import FloatTargets, Strategy
from models.backtest.tape import ScoreTape
from models.contracts.score import ScoreStatus
from models.contracts.vault import VaultConfig
from tests.models.backtest.worlds import FREE, ONE_COIN, START, a_score, coin

EXECUTION = Execution(Costs(5.0, 5.0))
DAYS = 400
FIRST_DAY = (START.date() - EPOCH).days
VAULT: VaultConfig = replace(ONE_COIN, limits=replace(FREE, dead_zone=D("0.02"), max_score_age_s=25 * 3600))


def a_market(foresight: bool, seed: int = 7):  # type: ignore[no-untyped-def]
    """Two bars a day for 400 days; on one day of ten the coin falls by 8 %, and the score knows it, or not."""
    rng = np.random.default_rng(seed)
    crash = rng.random(DAYS) < 0.1
    steps = rng.normal(0.001, 0.01, (DAYS, 2))
    steps[crash, 1] -= 0.08
    bars = coin(100 * np.exp(np.cumsum(steps.ravel())))
    bars = replace(bars, close_at=bars.close_at[0] + np.arange(1, 2 * DAYS + 1) * np.timedelta64(12, "h"))
    warned = crash if foresight else rng.permutation(crash)
    # Said at the midnight before, acted on at noon, the fall comes until the next midnight.
    scores = [a_score(24 * d, 90.0 if warned[d] else 20.0, valid_h=25) for d in range(DAYS)]
    return bars, ScoreTape(scores)


def shifted(foresight: bool):  # type: ignore[no-untyped-def]
    bars, tape = a_market(foresight)
    return circular_shifts(ScorePolicy(VAULT), bars, tape, EXECUTION, shifts=60)


def test_who_knows_the_falls_beats_every_other_time() -> None:
    found = shifted(foresight=True)
    assert found.shifts == 60
    assert found.p_value == {"es99": 1 / 61, "max_drawdown": 1 / 61, "sharpe": 1 / 61}


def test_who_guesses_does_not() -> None:
    found = shifted(foresight=False)
    assert min(found.p_value.values()) > 0.05


def test_a_strategy_without_timing_is_as_good_at_any_time() -> None:
    bars, tape = a_market(True)
    for strategy in (Hold(VAULT), ConstantMix(VAULT, {"USDC": D("0.5"), "BTC": D("0.5")})):
        assert set(circular_shifts(strategy, bars, tape, EXECUTION, shifts=20).p_value.values()) == {1.0}


class ByTheHour(Hold):
    """Out at noon and in at midnight, or the other way round: the same on every day."""

    out_at_noon = True

    def targets(self, bars: Bars, tape: ScoreTape) -> FloatTargets:
        held = (np.arange(len(bars)) % 2 == (1 if self.out_at_noon else 0)).astype(float)
        return FloatTargets(np.column_stack([1 - held, held]), np.ones(len(bars), dtype=np.bool_), bars.times_us)


class InAtNoon(ByTheHour):
    out_at_noon = False


@pytest.mark.parametrize("strategy", [ByTheHour(VAULT), InAtNoon(VAULT)])
def test_targets_move_by_whole_days(strategy: Strategy) -> None:
    """Moved by half a day, one of the two would turn into the better other one."""
    bars, tape = a_market(True)
    found = circular_shifts(strategy, bars, tape, EXECUTION, shifts=20)
    own = sharpe(run_fast(strategy, bars, tape, EXECUTION).daily_returns()[1])
    assert (found.p_value["sharpe"], found.median["sharpe"]) == (1.0, pytest.approx(float(own)))


def test_what_is_moved_takes_its_forecast_along_and_stays_in_order() -> None:
    said, sigma_ann = np.array([0, 0, 2, 2, 4, 4]), np.array([0.1, 0.1, 0.2, 0.2, np.nan, np.nan])
    moved = _moved(FloatTargets(np.arange(12.0).reshape(6, 2), np.arange(6) > 3, said, sigma_ann), 2)
    assert moved.weights[:3, 0].tolist() == [8, 10, 0]
    assert moved.usable.tolist() == [True, True, False, False, False, False]
    assert moved.said.tolist() == [-1, -1, 0, 0, 2, 2]  # 4 came round: as old as nothing before 0
    np.testing.assert_array_equal(moved.sigma_ann, [np.nan, np.nan, 0.1, 0.1, 0.2, 0.2])


def test_a_course_too_short_to_be_moved_says_so() -> None:
    bars, tape = a_market(True)
    found = circular_shifts(ScorePolicy(VAULT), bars.cut(0, 100), tape, EXECUTION)
    assert found.shifts == 0
    assert all(np.isnan(p) for p in found.p_value.values())


def test_a_mix_of_equal_exposure_holds_as_much_on_average() -> None:
    bars, tape = a_market(True)
    rule = run_fast(ScorePolicy(VAULT), bars, tape, EXECUTION)
    mix = equal_exposure_mix(rule, VAULT, bars, EXECUTION)
    assert 0.5 < rule.mean_exposure < 0.97
    assert mix.mean_exposure == pytest.approx(rule.mean_exposure, abs=1e-4)
    assert np.ptp(mix.exposure) < 0.06


def a_run(equity: list[float], exposure: list[float]) -> BacktestRun:
    """One bar a day, from the day before START on."""
    n = len(equity)
    days = FIRST_DAY - 1 + np.arange(n)
    table = np.column_stack([1 - np.array(exposure), exposure])
    close_at = days.astype("datetime64[D]").astype("datetime64[us]")
    return BacktestRun("r", ("USDC", "BTC"), close_at, days, np.array(equity), table, np.array(exposure), ())


SHORT = a_run([100, 110, 55, 66, 66], [1.0, 0.5, 0.2, 0.0, 0.0])


def test_windows_by_hand() -> None:
    windows = [
        Window("rise", date(2023, 1, 1), date(2023, 1, 1)),
        Window("fall and half back", date(2023, 1, 2), date(2023, 1, 3)),
        Window("later", date(2024, 1, 1), date(2024, 2, 1)),
    ]
    rise, fall, later = in_windows(SHORT, windows)
    assert (rise.days, rise.total_return, rise.max_drawdown, rise.exposure) == pytest.approx((1, 0.1, 0, 1))
    assert (fall.total_return, fall.max_drawdown, fall.worst_day) == pytest.approx((66 / 110 - 1, 0.5, -0.5))
    assert fall.exposure == pytest.approx((0.5 + 0.2) / 2)  # held into each of the two days
    assert later.days == 0


def test_regimes_by_hand() -> None:
    labels = {FIRST_DAY: "calm", FIRST_DAY + 1: "stressed", FIRST_DAY + 2: "stressed"}
    found = by_regime(SHORT, labels, required=2)
    assert (found["calm"].status, found["calm"].days) == (ScoreStatus.INSUFFICIENT_DATA, 1)
    stressed = found["stressed"]
    assert (stressed.days, stressed.sum_of_returns, stressed.exposure) == pytest.approx((2, -0.3, 0.35))
    assert stressed.es99 == pytest.approx(0.5)
    assert set(found) == {"calm", "stressed"}


def test_a_part_of_a_run_has_the_returns_of_its_days() -> None:
    bars, tape = a_market(True)
    whole = run_fast(ScorePolicy(VAULT), bars, tape, EXECUTION)
    part = whole.between(FIRST_DAY + 100, FIRST_DAY + 199)
    days, returns = whole.daily_returns()
    own = (days >= FIRST_DAY + 100) & (days <= FIRST_DAY + 199)
    assert np.array_equal(part.daily_returns()[0], days[own])
    assert np.array_equal(part.daily_returns()[1], returns[own])
    assert part.trades
    assert all(part.days[trade.bar] >= FIRST_DAY + 100 for trade in part.trades)
    assert whole.between(0, 10**6).trades == whole.trades
    # A trade at the bar that is the base of the first return is of the time before.
    first, second = (Trade(bar - 1, bar, 0.1, 0.1, 1.0, 0.0, 1.0) for bar in (1, 2))
    later = replace(SHORT, trades=(first, second)).between(FIRST_DAY + 1, FIRST_DAY + 2)
    assert later.trades == (replace(second, decided_bar=0, bar=1),)


def test_the_report_is_json_and_says_what_was_tried() -> None:
    bars, tape = a_market(True)
    rule = run_fast(ScorePolicy(VAULT), bars, tape, EXECUTION)
    runs = {"rule": rule, "mix": equal_exposure_mix(rule, VAULT, bars, EXECUTION), "hold": run_fast(Hold(VAULT), bars)}
    labels = {FIRST_DAY + d: "odd" if d % 2 else "even" for d in range(DAYS)}
    tried = np.random.default_rng(1).normal(0, 0.01, (DAYS - 1, 3))
    window = Window("January", date(2023, 1, 1), date(2023, 1, 31))
    placebos = {"rule": circular_shifts(ScorePolicy(VAULT), bars, tape, EXECUTION, shifts=5)}
    report = build(runs, {"rule": "mix"}, np.random.default_rng(2), placebos, labels, [window], tried)
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert (plain["trials"], plain["overfitting"]["trials"]) == (6, 6)
    assert plain["days"][0] == "2023-01-02"
    first = plain["strategies"][0]
    assert (first["name"], first["benchmark"], first["deflated_sharpe"]["trials"]) == ("rule", "mix", 6)
    assert set(first["regimes"]) == {"even", "odd"}
    assert [w["name"] for w in first["windows"]] == ["January"]
    assert plain["intervals"]["less"]["rule"]["es99_ratio"]["value"] < 0
    assert plain["equity"]["rule"][0] == 1
    assert len(plain["equity"]["rule"]) == len(plain["days"]) + 1
    # Every swap costs 10 bp of what it moves, up to the price of one bar.
    assert first["cost_a_year"] == pytest.approx(0.001 * first["turnover_a_year"], rel=0.02)


def test_runs_of_other_days_are_not_compared() -> None:
    bars, _ = a_market(True)
    runs = {"a": run_fast(Hold(VAULT), bars), "b": run_fast(Hold(VAULT), bars.cut(0, 700))}
    with pytest.raises(ValueError, match="same days"):
        build(runs, {}, np.random.default_rng(1))


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (float("nan"), None),
        (np.float64("inf"), None),
        (np.int64(3), 3),
        (D("0.10"), "0.10"),
        (ScoreStatus.OK, "ok"),
        (np.datetime64("2023-01-01T01:00:00.000000"), "2023-01-01T01:00:00Z"),
        (START, "2023-01-01T00:00:00+00:00"),
        ({"a": (np.array([1.0, np.nan]), True)}, {"a": [[1.0, None], True]}),
        (Window("w", date(2023, 1, 1), date(2023, 1, 2)), {"name": "w", "first": "2023-01-01", "last": "2023-01-02"}),
    ],
)
def test_plain_values(value: object, plain: object) -> None:
    assert as_plain(value) == plain


def test_what_is_no_result_is_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        as_plain({"a": object()})
