"""A stored decision, decided again: the same guards and the same policy on the stored inputs, and what differs.

Pure. A tick that met an obstacle (a busy account, a silent chain) computed nothing that could be computed again; then
the guards that came before the obstacle are asked, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from keeper.decision import Judgement, judge, refuse_early
from keeper.record import Inputs, plan_json, read_inputs
from models.contracts.exact import written
from models.contracts.vault import Decision, Reason, Verdict

# What a tick can meet that stands in no input: before the first guard, and between the guards without and with a chain.
BEFORE_GUARDS = frozenset({Reason.ACCOUNT_BUSY, Reason.INTENT_UNRESOLVED})
BEFORE_CHAIN = frozenset(
    {Reason.CHAIN_UNAVAILABLE, Reason.CHAIN_UNHEALTHY, Reason.NETWORK_RESET, Reason.NOT_CONFIGURED}
)


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """A row of `keeper.decisions` as far as it can be decided again."""

    verdict: str
    reasons: Sequence[str]
    inputs: Mapping[str, Any]
    plan: Mapping[str, Any] | None
    market_time: datetime


@dataclass(frozen=True, slots=True)
class Difference:
    """`what` is stored as `stored` and comes out as `again`."""

    what: str
    stored: str
    again: str


@dataclass(frozen=True, slots=True)
class Replay:
    """`obstacle`: what the tick met instead of deciding, None if it decided. No `differences`: it agrees."""

    differences: tuple[Difference, ...]
    obstacle: str | None = None


def replay(stored: StoredDecision, acted_before: bool) -> Replay:
    """Decide again.

    Parameters
    ----------
    acted_before : whether an acting decision on the same score was stored earlier: then a move became
        `already_decided`.

    Raises
    ------
    KeyError, TypeError, ValueError
        If the record is older than this form and lacks what a decision needs.
    """
    inputs = read_inputs(stored.inputs)
    met = next((r for r in stored.reasons if r in BEFORE_GUARDS | BEFORE_CHAIN), None)
    if met is not None:
        early = None
        if met in BEFORE_CHAIN and inputs.config is not None:
            early = refuse_early(inputs.config, inputs.row, inputs.control, stored.market_time)
        found = () if early is None else tuple(_differences(stored, Judgement(early), None))
        return Replay(found, met)
    judgement = _judged(inputs, stored.market_time)
    plan = None
    if inputs.row is not None and inputs.facts is not None:
        plan = plan_json(inputs.row, judgement, inputs.facts)
    if plan is not None and acted_before:
        drift = judgement.decision.drift
        judgement = replace(
            judgement, decision=Decision(Verdict.HOLD, (Reason.ALREADY_DECIDED,), None, Decimal(0), drift)
        )
        plan = None
    return Replay(tuple(_differences(stored, judgement, plan)))


def _judged(inputs: Inputs, now: datetime) -> Judgement:
    if inputs.config is None:
        raise KeyError("config")
    early = refuse_early(inputs.config, inputs.row, inputs.control, now)
    if early is not None or inputs.row is None:
        assert early is not None  # a missing target is refused early
        return Judgement(early)
    if inputs.facts is None or inputs.history is None:
        raise KeyError("chain" if inputs.facts is None else "history")
    return judge(inputs.config, inputs.row, inputs.control, inputs.facts, inputs.history, now)


def _differences(stored: StoredDecision, judgement: Judgement, plan: Mapping[str, Any] | None) -> Iterator[Difference]:
    decision = judgement.decision
    pairs: list[tuple[str, Any, Any]] = [
        ("verdict", stored.verdict, decision.verdict.value),
        ("reasons", [str(r) for r in stored.reasons], [str(r) for r in decision.reasons]),
    ]
    told = {"drift": str(decision.drift), "streak": written(judgement.streak), "post_state_problem": judgement.problem}
    pairs += [(name, stored.inputs[name], again) for name, again in told.items() if name in stored.inputs]
    before, after = stored.plan or {}, plan or {}
    pairs += [(f"plan.{name}", before.get(name), after.get(name)) for name in sorted({*before, *after})]
    for what, found, again in pairs:
        if found != again:
            yield Difference(what, str(found), str(again))
