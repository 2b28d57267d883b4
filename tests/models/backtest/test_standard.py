"""The standard backtest on a market in memory: agrees with its parts, repeats, and hears who watches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from models.backtest.comparison import Window
from models.backtest.costs import Costs
from models.backtest.engine import Execution
from models.backtest.market import Closes, Published, bars_of, scores_of
from models.backtest.metrics import figures
from models.backtest.request import Inputs, Terms
from models.backtest.run import run
from models.backtest.score_strategies import ScorePolicy
from models.backtest.standard import plan, replan
from models.contracts.market import DataMode
from models.contracts.runs import ScoreSource
from models.contracts.score import Score
from models.contracts.vault import VaultConfig
from models.runs.plan import Cancelled, NotEnough, RequestError, unwatched
from tests.models.backtest.worlds import THREE_LEGS

START = datetime(2024, 1, 1, tzinfo=UTC)
START_US = int(START.timestamp()) * 1_000_000
HOUR = 3_600_000_000
TERMS = {"BTC": Terms(7_200, 3_600), "ETH": Terms(7_200, 3_600)}
BODY: dict[str, Any] = {"vault_id": "mixed", "placebo_shifts": 3, "bootstrap_repetitions": 100}


class Market:
    def __init__(self, days: int = 330, first_score: int = 40) -> None:
        rng = np.random.default_rng(1)
        times = START_US + np.arange(days * 24 + 1) * HOUR
        self.known = {s: Closes(times, 100 * np.exp(np.cumsum(rng.normal(0, 0.01, len(times))))) for s in TERMS}
        said = [
            Published(START + timedelta(days=d), float(rng.uniform(40, 95)), 0.1, float(rng.uniform(1e-4, 2e-3)), 0, 0)
            for d in range(first_score, days + 1)
        ]
        self.said = scores_of("mixed", said, DataMode.SIMULATED)

    def vaults(self) -> Mapping[str, tuple[VaultConfig, Mapping[str, Terms]]]:
        return {"mixed": (THREE_LEGS, TERMS)}

    def closes(self, series: Sequence[str]) -> Mapping[str, Closes]:
        return {name: self.known[name] for name in series}

    def scores(self, vault_id: str, source: ScoreSource) -> Sequence[Score]:
        return self.said if source is ScoreSource.WALK_FORWARD else []

    def events(self) -> Sequence[Window]:
        return [
            Window("before", date(2023, 5, 1), date(2023, 5, 2)),
            Window("fall", date(2024, 6, 1), date(2024, 6, 2)),
        ]


MARKET = Market()


def test_a_policy_is_what_the_exact_engine_says_of_it() -> None:
    made = plan({**BODY, "benchmarks": [], "start": "2024-02-20", "end": "2024-11-20"}, MARKET)
    summary = made.compute(unwatched).summary
    bars = bars_of(THREE_LEGS, TERMS, MARKET.known)
    assert bars is not None
    first = int(np.searchsorted(bars.times_us, int(datetime(2024, 2, 20, tzinfo=UTC).timestamp()) * 1_000_000))
    last = int(np.searchsorted(bars.times_us, int(datetime(2024, 11, 21, tzinfo=UTC).timestamp()) * 1_000_000))
    exact = run(ScorePolicy(THREE_LEGS), bars.cut(first, last + 1), MARKET.said, Execution(Costs(5, 5)))
    own = figures(exact.daily_returns()[1])
    (policy, mix) = summary["strategies"]
    for name in ("days", "cagr", "sharpe", "max_drawdown", "es99"):
        assert policy["figures"][name] == pytest.approx(getattr(own, name), rel=1e-5), name
    assert policy["trades"] == len(exact.trades)
    assert (policy["benchmark"], mix["name"]) == ("onoff_mix", "onoff_mix")
    assert mix["mean_exposure"] == pytest.approx(policy["mean_exposure"], abs=2e-3)


def test_the_same_question_gives_the_same_bytes_and_another_seed_other_intervals() -> None:
    one, again, other = (plan({**BODY, "seed": seed}, MARKET) for seed in (0, 0, 1))
    assert (one.identity, one.inputs) == (again.identity, again.inputs)
    assert one.compute(unwatched) == again.compute(unwatched)
    assert one.identity.id != other.identity.id
    assert one.compute(unwatched).summary["intervals"] != other.compute(unwatched).summary["intervals"]


def test_every_strategy_is_shown_by_regime_and_through_the_events_of_its_days() -> None:
    summary = plan({**BODY, "benchmarks": ["hold"]}, MARKET).compute(unwatched).summary
    regimes = [each["regimes"] for each in summary["strategies"]]
    # The rule needs 219 weekly means, the first of 5 returns; the day after those is the first with a label.
    assert {sum(own["days"] for own in each.values()) for each in regimes} == {330 - (5 + 218)}
    assert [[each["name"] for each in own["windows"]] for own in summary["strategies"]] == [["fall"]] * len(regimes)
    assert {own["windows"][0]["days"] for own in summary["strategies"]} == {2 + 6}


def test_stored_inputs_make_the_same_run_also_when_the_market_went_on() -> None:
    asked = {**BODY, "policies": ["onoff", "voltarget"], "limits": {"target_sigma_ann": 0.4, "dead_zone": 0.1}}
    made = plan(asked, MARKET)
    assert Inputs.of_dict(made.inputs).to_dict() == made.inputs
    assert replan(made.inputs, MARKET).identity == made.identity
    longer = Market()
    for name, own in longer.known.items():
        more = own.as_of_us[-1] + np.arange(1, 49) * HOUR
        longer.known[name] = Closes(np.append(own.as_of_us, more), np.append(own.close, np.full(48, 90.0)))
    longer.said = [*longer.said, replace(longer.said[-1], as_of=START + timedelta(days=331),
                                         issued_at=START + timedelta(days=331))]  # fmt: skip
    assert replan(made.inputs, longer).identity == made.identity
    assert plan(asked, longer).inputs["end"] == "2024-11-27"


def test_open_days_are_filled_in() -> None:
    made = plan({**BODY, "benchmarks": ["hold"]}, MARKET)
    # The first forecast is of the midnight that begins 10 February; the last complete day is the 330th.
    assert (made.inputs["start"], made.inputs["end"]) == ("2024-02-10", "2024-11-25")
    span = made.compute(unwatched).summary["span"]
    assert (span["lookback_from"], span["days"]) == ("2024-02-09", 290)


def test_only_what_counts_is_part_of_the_data() -> None:
    end = date(2024, 11, 1)
    asked = {**BODY, "end": end.isoformat()}
    own, changed = plan(asked, MARKET).data_hash, Market()
    after = (START_US // HOUR // 24 + (end - START.date()).days + 1) * 24 * HOUR
    for name, known in changed.known.items():
        changed.known[name] = Closes(known.as_of_us, np.where(known.as_of_us > after, 1.0, known.close))
    assert plan(asked, changed).data_hash == own
    for name, known in changed.known.items():
        changed.known[name] = Closes(known.as_of_us, np.where(known.as_of_us >= after, 1.0, known.close))
    assert plan(asked, changed).data_hash != own


def test_work_grows_with_what_is_asked() -> None:
    small = plan({**BODY, "benchmarks": []}, MARKET).work
    assert plan({**BODY, "benchmarks": [], "placebo_shifts": 300}, MARKET).work > 5 * small
    assert plan({**BODY, "benchmarks": [], "bootstrap_repetitions": 2_000}, MARKET).work > small


def test_a_run_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.backtest.standard.MOST", 1_000_000)
    with pytest.raises(RequestError, match="placebo_shifts: this run is"):
        plan(BODY, MARKET)


def test_the_watch_is_told_and_can_end_it() -> None:
    made, told = plan(BODY, MARKET), list[float]()
    made.compute(told.append)
    assert told == sorted(told)
    assert (told[0], len(told)) == (0.0, 5)
    assert told[-1] < 1

    def enough(share: float) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        made.compute(enough)


@pytest.mark.parametrize(("days", "first_score"), [(330, 200), (200, 40), (330, 331)])
def test_a_short_market_says_what_is_missing(days: int, first_score: int) -> None:
    with pytest.raises(NotEnough) as short:
        plan(BODY, Market(days, first_score))
    found = short.value.shortage
    assert (found.required, found.suggested_start) == (250, None)
    assert (found.sufficient_on is None) == (first_score > days)
