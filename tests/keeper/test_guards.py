"""No random tick breaks a guard or plans a vault that nobody decided on, and keepers with a broken guard are caught."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal as D
from random import Random
from typing import Any

import pytest

from keeper import decision
from keeper.decision import judge
from keeper.limits import ControlMode
from models.contracts.market import DataMode
from tests.keeper.guarded_ticks import Judge, check, walk, with_limits

SHARDS, PATHS_A_SHARD, TICKS = 10, 1_000, 4


@pytest.mark.parametrize("shard", range(SHARDS))
def test_no_guard_is_ever_broken(shard: int) -> None:
    """10,000 paths in all."""
    rng, reasons, plans = Random(shard), set[str](), 0
    for _ in range(PATHS_A_SHARD):
        for tick in walk(rng, TICKS):
            check(tick)
            reasons |= set(tick.judgement.decision.reasons)
            plans += tick.judgement.trades is not None
    assert plans > PATHS_A_SHARD / 2
    assert {
        "kill_switch_halt", "kill_switch_reduce_only", "score_missing", "score_out_of_range", "model_not_allowed",
        "score_expired", "score_stale", "policy_version_unknown", "data_mode_not_allowed", "inputs_imputed",
        "price_missing", "second_price_missing", "prices_disagree", "dead_zone", "dwell", "cooldown",
        "turnover_day_reached", "turnover_day_capped", "step_capped", "value_capped", "value_cap_reached",
        "balance_below_reserve", "instructions_capped", "nothing_to_trade", "post_state_out_of_bounds",
    } <= reasons  # fmt: skip


def running(config: Any, row: Any, control: Any, *rest: Any) -> Any:
    """A keeper that does not look at the switch."""
    return judge(config, row, replace(control, mode=ControlMode.RUN), *rest)


def unreserved(config: Any, *rest: Any) -> Any:
    return judge(replace(config, limits=replace(config.limits, reserve_stroops=0)), *rest)


def forgetful(config: Any, row: Any, control: Any, facts: Any, history: Any, now: Any) -> Any:
    return judge(config, row, control, facts, replace(history, turnover_day=D(0), moved_usd_day=D(0)), now)


def late(config: Any, row: Any, control: Any, facts: Any, history: Any, now: Any) -> Any:
    """Believes every score to be of now."""
    target = replace(row.target, as_of=now)
    return judge(config, replace(row, valid_until=now, target=target), control, facts, history, now)


def trusting(config: Any, row: Any, *rest: Any) -> Any:
    """Takes any number for a score."""
    score = row.target.score
    return judge(config, replace(row, target=replace(row.target, score=50.0 if score is not None else None)), *rest)


def nothing(*_: Any, **__: Any) -> None:
    return None


Patch = Callable[[pytest.MonkeyPatch], None]
MUTANTS: dict[str, tuple[Judge, Patch, str]] = {
    "switch not read": (running, nothing, "switch|reduce only"),
    "any number is a score": (trusting, nothing, "score"),
    "any model": (with_limits(judge, allowed_models=None), nothing, "model"),
    "old scores": (late, nothing, "fresh"),
    "data of any kind": (
        judge, lambda m: m.setattr(decision, "allowed_data_modes", lambda network: set(DataMode)), "live data",
    ),
    "filled in inputs": (with_limits(judge, max_share_imputed=1.0), nothing, "imputed"),
    "one price is enough": (with_limits(judge, max_price_gap=None), nothing, "two prices"),
    "a wide gap": (with_limits(judge, max_price_gap=D("0.5")), nothing, "two prices"),
    "no reserve": (unreserved, nothing, "reserve"),
    "no cooldown": (with_limits(judge, cooldown_s=0), nothing, "cooldown"),
    "no step": (with_limits(judge, max_step=D(1)), nothing, "step"),
    "caps of a day that forget": (forgetful, nothing, "turnover a day|dollars a day"),
    "no dollars an action": (with_limits(judge, max_action_usd=None), nothing, "dollars an action"),
    "wider slippage": (with_limits(judge, max_slippage_bps=800), nothing, "least amount|loss|decided"),
    "no joint check": (judge, lambda m: m.setattr(decision, "post_state_problem", nothing), "decided|on the way"),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_a_keeper_with_a_broken_guard_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    judge_, patch, said = MUTANTS[name]
    patch(monkeypatch)

    def everything() -> None:
        rng = Random(0)
        for _ in range(PATHS_A_SHARD):
            for tick in walk(rng, TICKS, judge_):
                check(tick)

    with pytest.raises(AssertionError, match=said):
        everything()
