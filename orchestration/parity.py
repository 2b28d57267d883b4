"""Rows of `risk.parity`: the ticks of a market day asked again by the rules of the backtest, and every difference.

The memory of a vault (last action, turnover of a day, streak of scores) is rebuilt from what was carried out, as an
engine would, and not taken from the tick.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from keeper.record import read_inputs
from models.allocation.policy import decide, streak_after
from models.contracts.tables import KEEPER_DECISIONS, KEEPER_INTENTS, RISK_PARITY
from models.contracts.vault import ActionHistory, Decision, Reason, Streak, VaultState, Verdict
from orchestration.resources.workspace import Workspace

DAY = timedelta(days=1)
# What a backtest decides as well. Everything else is a guard of the keeper's own: listed, and no error.
SHARED = frozenset({
    Reason.SCORE_MISSING, Reason.SCORE_STALE, Reason.SCORE_DEGRADED, Reason.SCORE_EXPIRED, Reason.DEAD_ZONE,
    Reason.DWELL, Reason.COOLDOWN, Reason.TURNOVER_DAY_REACHED, Reason.BENEFIT_BELOW_COST, Reason.ALREADY_DECIDED,
    Reason.ASSETS_DIFFER,
})  # fmt: skip
_TICKS = f"""
    select d.id, d.market_time, d.verdict, d.reasons, d.inputs, d.plan, i.state as intent_state
    from {KEEPER_DECISIONS} as d left join {KEEPER_INTENTS} as i on i.decision_id = d.id
    where d.vault_id = :vault and d.market_time >= :since and d.market_time < :until
    order by d.market_time, d.created_at
"""


def of_day(workspace: Workspace, vault_id: str, day: date, run_id: str) -> dict[str, Any]:
    """The row of `risk.parity` of one vault and market day."""
    start = datetime.combine(day, time(), workspace.now().tzinfo)
    before = workspace.warehouse.rows(_TICKS, {"vault": vault_id, "since": start - 2 * DAY, "until": start})
    ticks = workspace.warehouse.rows(_TICKS, {"vault": vault_id, "since": start, "until": start + DAY})
    found = list(differences(before, ticks))
    return {
        "vault_id": vault_id, "day": day, "ticks": len(ticks),
        "guards": sum(each["what"] == "guard" for each in found),
        "others": sum(each["what"] != "guard" for each in found),
        "differences": found, "data_mode": workspace.mode.value, "run_id": run_id,
    }  # fmt: skip


def unwritten(workspace: Workspace, vault_id: str, day: date) -> bool:
    """Whether a day has no row yet."""
    known = workspace.warehouse.rows(
        f"select 1 from {RISK_PARITY} where vault_id = :vault and day = :day", {"vault": vault_id, "day": day}
    )
    return not known


def differences(before: Sequence[Mapping[str, Any]], ticks: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, str]]:
    """What the backtest's rules say of `ticks` where the keeper said something else.

    `before`: ticks of the two days before, for the memory. A tick without a view of the vault met a guard or the chain.
    """
    moves = [(tick["market_time"], Decimal(tick["plan"]["turnover"])) for tick in before if _moved(tick)]
    acted_on = {tick["inputs"]["target"]["as_of"] for tick in before if tick["verdict"] == Verdict.REBALANCE}
    streak: Streak | None = None
    for tick in ticks:
        inputs = read_inputs(tick["inputs"])
        state, now = tick["inputs"].get("state"), tick["market_time"]
        if inputs.config is None or inputs.row is None or state is None:
            if tick["reasons"][0] not in SHARED:
                yield _told(tick, "guard", tick["reasons"], "a backtest has no such guard")
            continue
        own = inputs.history or ActionHistory()
        streak = own.streak if streak is None else streak
        recent = [(at, moved) for at, moved in moves if at > now - DAY]
        history = ActionHistory(
            max((at for at, _ in moves), default=own.last_action_at),
            sum((moved for _, moved in recent), Decimal(0)),
            own.moved_usd_day,
            streak,
        )
        held = VaultState(inputs.row.target.vault_id, _weights(state["weights"]), Decimal(state["tvl_usd"]))
        vault, target = inputs.config.vault, inputs.row.target
        again = decide(vault, target, held, history, now)
        streak = streak_after(vault, target, held, streak, now)
        if again.verdict is Verdict.REBALANCE and tick["inputs"]["target"]["as_of"] in acted_on:
            again = _held(again, Reason.ALREADY_DECIDED)
        yield from _compared(tick, again, own, history)
        if tick["verdict"] == Verdict.REBALANCE:
            acted_on.add(tick["inputs"]["target"]["as_of"])
        if _moved(tick):
            moves.append((now, Decimal(tick["plan"]["turnover"])))


def _compared(
    tick: Mapping[str, Any], again: Decision, own: ActionHistory, history: ActionHistory
) -> Iterator[dict[str, str]]:
    if tick["verdict"] != again.verdict and not set(tick["reasons"]) & SHARED and tick["verdict"] != Verdict.REBALANCE:
        yield _told(tick, "guard", tick["reasons"], list(map(str, again.reasons)))
        return
    plan = tick["plan"] or {}
    pairs: list[tuple[str, Any, Any]] = [
        ("last action", own.last_action_at, history.last_action_at),
        ("turnover of a day", own.turnover_day, history.turnover_day),
        ("verdict", tick["verdict"], again.verdict.value),
        ("reasons", list(tick["reasons"]), [str(reason) for reason in again.reasons]),
        ("drift", Decimal(tick["inputs"]["drift"]), again.drift),
        ("weights", _weights(plan["weights"]) if plan else None, again.weights),
    ]
    for what, found, expected in pairs:
        if found != expected:
            yield _told(tick, what, found, expected)


def _moved(tick: Mapping[str, Any]) -> bool:
    return bool(tick["intent_state"] == "confirmed")


def _held(decision: Decision, reason: Reason) -> Decision:
    return Decision(Verdict.HOLD, (reason,), None, Decimal(0), decision.drift)


def _weights(weights: Mapping[str, Any]) -> dict[str, Decimal]:
    return {symbol: Decimal(weight) for symbol, weight in weights.items()}


def _told(tick: Mapping[str, Any], what: str, found: object, expected: object) -> dict[str, str]:
    return {
        "decision": str(tick["id"]), "market_time": tick["market_time"].isoformat(), "what": what, "found": str(found),
        "expected": str(expected),
    }  # fmt: skip
