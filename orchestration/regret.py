"""Rows of `risk.regret`: moves whose days have passed, beside the vault that did not move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from keeper.record import read_inputs
from keeper.trades import MissingPrice, price_of
from models.allocation.weights import weights_of
from models.contracts.tables import KEEPER_DECISIONS, KEEPER_EVENTS, KEEPER_INTENTS, RISK_REGRET
from models.contracts.vault import VaultConfig
from models.decisions.outcome import after_the_fact
from orchestration.resources.vault import prices
from orchestration.resources.workspace import Workspace

HORIZONS_DAYS = (1, 7)  # what the score speaks of, and whether it was right for longer
_MOVES = f"""
    select d.id, d.vault_id, d.market_time, d.inputs, d.plan, d.data_mode, i.state, (
        select body from {KEEPER_EVENTS} where intent_id = i.id and kind = 'post_state' order by seq desc limit 1
    ) as after
    from {KEEPER_DECISIONS} as d join {KEEPER_INTENTS} as i on i.decision_id = d.id
    where i.state in ('confirmed', 'skipped') and d.inputs ->> 'expected' is not null
        and d.market_time + make_interval(days => :days) <= :now
        and not exists (select from {RISK_REGRET} as r where r.decision_id = d.id and r.horizon_days = :days)
    order by d.market_time, d.id
"""


def due(workspace: Workspace, run_id: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows for all moves whose days have passed and that are not scored yet; and the moves that wait for a price."""
    now, rows, waiting = workspace.now(), [], []
    for days in HORIZONS_DAYS:
        for move in workspace.warehouse.rows(_MOVES, {"days": days, "now": now}):
            try:
                rows.append(_row(workspace, move, days, run_id))
            except MissingPrice as error:
                waiting.append(f"{move['id']} over {days} days: {error}")
    return rows, waiting


def _row(workspace: Workspace, move: Mapping[str, Any], days: int, run_id: str) -> dict[str, Any]:
    inputs = read_inputs(move["inputs"])
    assert inputs.config is not None  # an acting decision has one
    assert inputs.row is not None
    vault, known, expected = inputs.config.vault, inputs.row.prices, move["inputs"]["expected"]
    stayed = {s: Decimal(w) for s, w in move["inputs"]["state"]["weights"].items()}
    moved, cost = _moved(vault, known, move, float(expected["cost"]))
    moments = [move["market_time"] + timedelta(days=n) for n in range(1, days + 1)]
    closes = [known, *(prices(vault, workspace.warehouse, moment) for moment in moments)]
    outcome = after_the_fact(
        np.array([float(stayed[a.symbol]) for a in vault.assets]),
        np.array([float(moved[a.symbol]) for a in vault.assets]),
        np.array([[float(price_of(a, each)) for a in vault.assets] for each in closes]),
        cost,
    )
    return {
        "decision_id": str(move["id"]), "horizon_days": days, "vault_id": move["vault_id"],
        "decided_at": move["market_time"], "scored_until": moments[-1], "intent_state": move["state"],
        "expected_risk_before": _number(expected["risk_before"]),
        "expected_risk_after": _number(expected["risk_after"]),
        "expected_cost": float(expected["cost"]), "cost": cost, **asdict(outcome), "data_mode": move["data_mode"],
        "run_id": run_id,
    }  # fmt: skip


def _moved(
    vault: VaultConfig, known: Mapping[str, Decimal], move: Mapping[str, Any], expected_cost: float
) -> tuple[Mapping[str, Decimal], float]:
    """Weights after the move and what it took: as read from the chain, as planned where nobody could look."""
    if move["after"] is None:
        return {s: Decimal(w) for s, w in move["plan"]["weights"].items()}, expected_cost
    funds = move["after"]["funds"]
    values = {a.symbol: Decimal(funds[a.contract]).scaleb(-a.decimals) * price_of(a, known) for a in vault.assets}
    before = Decimal(move["inputs"]["state"]["tvl_usd"])
    return weights_of(values), float(1 - sum(values.values(), Decimal(0)) / before)


def _number(value: str | None) -> float | None:
    return None if value is None else float(value)
