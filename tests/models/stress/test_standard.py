"""The standard simulation on a market in memory: agrees with its parts, repeats, refuses, and hears who watches."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from models.backtest.costs import Costs
from models.backtest.engine import Execution
from models.backtest.market import Closes, bars_of
from models.contracts.market import DataMode
from models.runs.bounds import MOST
from models.runs.plan import Cancelled, NotEnough, Plan, RequestError, unwatched
from models.stress.bootstrap import Scaling, fit_bootstrap
from models.stress.path_score import fit_path_score
from models.stress.request import GENERATORS, REGIMES, inputs_of
from models.stress.results import result_of
from models.stress.setup import Setup
from models.stress.simulation import simulate_vault
from models.stress.standard import kinds_of, plan, replan
from tests.models.backtest.worlds import THREE_LEGS
from tests.models.stress.markets import HOUR_US, MIXED, START, TERMS, Market

BODY: dict[str, Any] = {"vault_id": "mixed", "paths": 200, "days": 3}
DAILY: dict[str, Any] = {"vault_id": "naira", "paths": 200, "days": 10}
MARKET = Market()


def summary(made: Plan) -> dict[str, Any]:
    return dict(made.compute(unwatched).summary)


def figure(found: dict[str, Any], strategy: str, name: str) -> float:
    own = next(each for each in found["strategies"] if each["name"] == strategy)
    value = own["figures"][name]["value"]
    assert isinstance(value, float)
    return value


def test_it_is_what_its_parts_say_by_the_hour() -> None:
    found = summary(plan({**BODY, "seed": 5, "latency_steps": 2, "slippage_bps": 30}, MARKET))
    bars = bars_of(THREE_LEGS, TERMS, {name: MARKET.known[name] for name in ("BTC", "ETH")})
    assert bars is not None
    returns = np.diff(np.log(bars.prices[:, 1:]), axis=0)  # the stable leg is first
    at_base = np.log1p(np.expm1(returns) @ [0.4, 0.3])
    hourly = Scaling(0.94 ** (1 / 24), 1 / 3, 3.0, 22 * 24, 30 * 24)
    setup = Setup(
        THREE_LEGS, fit_bootstrap(returns, scaling=hourly), {"BTC": 0, "ETH": 1}, fit_path_score(at_base, 24), 72,
        execution=Execution(Costs(5.0, 30.0), 2),
    )  # fmt: skip
    expected = result_of(setup, simulate_vault(setup, 200, 5))
    for strategy, figures in expected.figures.items():
        for name, one in figures.items():
            if one.value is not None:
                assert figure(found, strategy, name) == pytest.approx(one.value, rel=1e-9), (strategy, name)
    assert found["steps"] == 72


def test_a_leg_with_a_rate_of_the_day_makes_days_of_the_steps() -> None:
    made = plan(DAILY, MARKET)
    assert made.inputs["step"] == "day"
    found = summary(made)
    assert found["steps"] == 10
    # 421 midnights: the first is the close before the first day.
    assert (found["sample"]["start"], found["sample"]["days"]) == ("2021-01-01", 420)
    assert set(found["generator_check"]["facts"]) == {"cNGN", "BTC", "pairs"}


@pytest.mark.parametrize("generator", GENERATORS)
def test_every_generator_by_the_day(generator: str) -> None:
    made = plan({**DAILY, "generator": generator}, MARKET)
    check = summary(made)["generator_check"]
    assert check["total"] == 11
    assert 0 <= check["matched"] <= 11


def test_weights_by_the_hour() -> None:
    one, other = (summary(plan({**BODY, "generator": name}, MARKET)) for name in ("weighted", "plain"))
    assert one["strategies"] != other["strategies"]


def test_the_same_question_gives_the_same_bytes_and_another_seed_other_paths() -> None:
    one, again, other = (plan({**BODY, "seed": seed}, MARKET) for seed in (0, 0, 1))
    assert one.identity == again.identity
    assert one.compute(unwatched) == again.compute(unwatched)
    assert one.identity.id != other.identity.id
    assert one.compute(unwatched).summary != other.compute(unwatched).summary


def test_the_number_of_threads_changes_no_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {**BODY, "shocks": {"gap": {"rate_per_year": 50}}, "scenario": "terra-2022-05"}
    own = plan(asked, MARKET).compute(unwatched)
    monkeypatch.setattr("models.stress.standard.MOST_THREADS", 1)
    assert plan(asked, MARKET).compute(unwatched) == own


@pytest.mark.parametrize(
    "asked",
    [
        BODY,
        {**BODY, "shocks": "usual", "limits": {"dead_zone": 0.1}, "policy": "onoff"},
        {**BODY, "shocks": {"gap": {"thin": None, "rate_per_year": 3}, "liquidity": None}, "leverage": 3},
        {**DAILY, "scenario": "naira-2023-06", "scenario_reach": "everywhere"},
    ],
)
def test_stored_inputs_make_the_same_run_also_when_the_market_went_on(asked: dict[str, Any]) -> None:
    made = plan(asked, MARKET)
    stored = json.loads(json.dumps(made.inputs, sort_keys=True))
    assert replan(stored, MARKET).identity == made.identity
    longer = Market()
    for name, own in longer.known.items():
        more = own.as_of_us[-1] + np.arange(1, 49) * HOUR_US
        longer.known[name] = Closes(np.append(own.as_of_us, more), np.append(own.close, np.full(48, 90.0)))
    assert replan(stored, longer).identity == made.identity
    assert plan(asked, longer).identity != made.identity


def test_only_the_sample_is_part_of_the_data() -> None:
    asked = {**BODY, "start": "2021-02-01", "end": "2022-01-31"}
    own = plan(asked, MARKET).data_hash
    base = int(START.timestamp()) * 1_000_000 + 31 * 24 * HOUR_US  # the close before 1 February
    for moment, same in ((base - HOUR_US, True), (base, False), (base + 365 * 24 * HOUR_US, False),
                         (base + 365 * 24 * HOUR_US + HOUR_US, True)):  # fmt: skip
        changed = Market()
        btc = changed.known["BTC"]
        changed.known["BTC"] = Closes(btc.as_of_us, np.where(btc.as_of_us == moment, 1.0, btc.close))
        assert (plan(asked, changed).data_hash == own) is same


def test_a_shock_that_comes_changes_what_it_should_and_says_by_how_much() -> None:
    asked = {**BODY, "paths": 2_000, "shocks": {"gap": {"rate_per_year": 300}, "street_premium": {}}}
    found, calm = summary(plan(asked, MARKET)), summary(plan({**BODY, "paths": 2_000}, MARKET))
    shocks = found["shocks"]
    assert shocks["nothing"] == ["street_premium"]  # there is no money of a country in this vault
    assert set(shocks["alone"]) == {"gap"}
    assert shocks["calm"]["hold"]["es_99"]["value"] == figure(calm, "hold", "es_99")
    changed = figure(found, "hold", "es_99") - figure(calm, "hold", "es_99")
    assert shocks["alone"]["gap"]["hold"]["es_99"]["value"] == pytest.approx(changed)
    assert changed > 0.05
    assert calm["shocks"] is None


@pytest.mark.parametrize(
    ("mode", "days", "form"), [(DataMode.LIVE, 600, "recorded"), (DataMode.SIMULATED, 600, "parametrised")]
)
def test_a_scenario_is_replayed_from_what_was_recorded_and_never_from_a_simulated_market(
    mode: DataMode, days: int, form: str
) -> None:
    found = summary(plan({**BODY, "days": 10, "scenario": "terra-2022-05"}, Market(days, mode)))
    assert (found["scenario"]["form"], found["scenario"]["struck"]) == (form, ["BTC", "ETH"])
    assert set(found["shocks"]["alone"]) == {"terra-2022-05"}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"start": "2021-09-01"}, "start"),
        ({"start": "2020-01-01"}, "start"),
        ({"start": "2021-02-01", "end": "2021-06-01"}, "end"),
        ({"generator": REGIMES, "step": "day", "start": "2021-03-01"}, "start"),
    ],
)
def test_who_follows_the_hint_of_a_shortage_gets_an_answer(changes: dict[str, str], field: str) -> None:
    with pytest.raises(NotEnough) as short:
        plan({**BODY, **changes}, MARKET)
    found = short.value.shortage
    assert short.value.field == field
    assert str(found.suggested_start) in str(short.value)
    end = {} if found.suggested_end is None else {"end": found.suggested_end.isoformat()}
    assert found.suggested_start is not None
    followed = plan({**BODY, **changes, "start": found.suggested_start.isoformat(), **end}, MARKET)
    assert "strategies" in summary(followed)


def test_a_young_market_says_when_to_ask_again() -> None:
    with pytest.raises(NotEnough, match="ask again on 2021-10-29") as short:
        plan(BODY, Market(days=100))
    assert (short.value.shortage.required, short.value.shortage.received) == (302, 100)
    assert short.value.shortage.sufficient_on == START.date() + timedelta(days=302 - 1)


def test_a_rate_that_stands_still_cannot_be_drawn_from() -> None:
    pegged = Market()
    own = pegged.known["USDNGN"]
    pegged.known["USDNGN"] = Closes(own.as_of_us, np.full(len(own.close), 3.67))
    with pytest.raises(RequestError, match="cNGN never moves"):
        plan(DAILY, pegged)


def test_work_grows_with_what_is_asked_and_ends_at_the_bound() -> None:
    own = plan(BODY, MARKET).work
    larger: list[dict[str, Any]] = [
        {"paths": 400}, {"days": 6}, {"shocks": {"gap": {}}}, {"scenario": "terra-2022-05"},
        {"generator": "weighted"}, {"generator": "both"},
    ]  # fmt: skip
    for changes in larger:
        assert plan({**BODY, **changes}, MARKET).work > own, changes
    # Blocks that are looked for: six units a step and run, and one for each row at each of 64 moments, for the paths
    # and for the check of the generator.
    rows = 420 * 24
    weighted, gap = {**BODY, "generator": "weighted"}, {"shocks": {"gap": {}}}
    assert plan(weighted, MARKET).work - own == 6 * 200 * 72 + 2 * 64 * rows
    more = plan({**weighted, **gap}, MARKET).work - plan({**BODY, **gap}, MARKET).work
    assert more == 2 * 6 * 200 * 72 + 2 * 64 * rows
    often = plan({**BODY, "shocks": {"gap": {"rate_per_year": 366}}}, MARKET).work
    assert often > plan({**BODY, "shocks": {"gap": {}}}, MARKET).work
    with pytest.raises(RequestError, match="ask fewer paths"):
        plan({**BODY, "paths": 1_000_000, "days": 365, "shocks": "usual"}, MARKET)
    assert plan({**DAILY, "paths": 1_000_000}, MARKET).work < MOST


def test_somebody_hears_how_far_it_is_and_can_end_it() -> None:
    heard: list[float] = []
    plan({**BODY, "shocks": {"gap": {}, "halt": {}}}, MARKET).compute(heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == 0.95

    def enough(share: float) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        plan(BODY, MARKET).compute(enough)


def test_a_vault_and_its_kinds_of_legs() -> None:
    assert [kind.value for kind in kinds_of(inputs_of(DAILY, MARKET.vaults()))] == ["stable", "fx", "coin"]
    assert [asset.symbol for asset in MIXED.assets] == ["USDC", "cNGN", "BTC"]
