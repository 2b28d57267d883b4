"""The backtest of the bench: the same equity from each engine that is installed, and a word where one is not."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from models.backtest.run import run, run_fast
from orchestration.bench import backtests
from orchestration.bench.backtest_peers import PEERS, Course, Rule
from orchestration.bench.document import Unmeasured

CLOSES = [100.0, 100.0, 110.0, 120.0, 90.0, 90.0, 80.0, 80.0]
SCORES = [75.0, 75.0, 60.0, 75.0, 85.0, 75.0, 75.0, 60.0]  # in at the close of bar 3, out at that of bar 5
RULE = Rule(leave=80.0, enter=70.0, fee=0.01, capital=1_000.0)
EQUITY = [1_000.0] * 3 + [990.0] + [742.5] + [735.075] * 3  # 8.25 coins for 990 dollars at 120; sold at 90, less 1 %
SMALL = Course(backtests.START + np.arange(8) * np.timedelta64(1, "h"), np.array(CLOSES), np.array(SCORES))


@pytest.mark.parametrize("engine", [run, run_fast])
def test_ours_by_hand(engine: object) -> None:
    found = backtests.with_ours(SMALL, backtests.tape_of(SMALL), RULE, engine)  # type: ignore[arg-type]
    assert found.equity_usd.tolist() == pytest.approx(EQUITY)


@pytest.mark.parametrize("name", sorted(PEERS))
def test_others_by_hand_and_on_a_simulated_year(name: str) -> None:
    package, work = PEERS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of packages that are not ours
        pytest.importorskip(package, reason="needs the extra `bench`")
        by_hand, course = work(SMALL, RULE), backtests.course_of(5, 8_760)
        theirs = work(course, backtests.RULE)
    assert by_hand.tolist() == pytest.approx(EQUITY)
    ours = backtests.with_ours(course, backtests.tape_of(course), backtests.RULE, run_fast)
    assert len(ours.trades) > 40
    assert np.abs(theirs / ours.equity_usd - 1.0).max() < backtests.SAME


def test_engines_that_are_not_there_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backtests, "version_of", lambda package: None)
    found = backtests.measure(7, hours=400, rules=2, repeats=1)
    for name in ("run_fast", "exact_engine", "scores_and_their_tape"):
        assert found[name]["unit"] == "ms"
        assert found[name]["value"] > 0
    assert found["trades"]["value"] > 0
    assert found["search"]["run_fast"]["value"] > 0
    for told in (found["vectorbt"], found["backtesting_py"], found["search"]["vectorbt"]):
        assert "is not installed" in told["not_measured"]
    assert found["exact_engine_apart"]["value"] < 1e-9


def test_another_equity_is_no_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backtests, "version_of", lambda package: "1")
    monkeypatch.setattr(backtests, "PEERS", {"other": ("other", lambda course, rule: np.full(len(course.closes), 1e6))})
    with pytest.raises(Unmeasured, match=r"other ends up to .* away from run_fast"):
        backtests.measure(7, hours=400, rules=2, repeats=1)
