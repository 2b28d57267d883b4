"""What a decision row remembers: everything the decision rests on and the plan that follows, as JSON values.

Decimals and scores become text, so that nothing is rounded on the way to the database.
"""

from __future__ import annotations

from typing import Any

from keeper.decision import ChainFacts, Judgement, TargetInput
from keeper.executor import instruction_json
from keeper.limits import Control
from models.contracts.vault import ActionHistory


def inputs_json(
    row: TargetInput | None,
    control: Control,
    facts: ChainFacts | None,
    history: ActionHistory | None,
    judgement: Judgement | None,
) -> dict[str, Any]:
    """Everything the decision rests on, as JSON values."""
    found: dict[str, Any] = {"control": {"mode": control.mode.value, "reason": control.reason}}
    if row is not None:
        score = row.target.score
        found["target"] = {
            "id": row.target_id,
            "state": row.target.state.value,
            "weights": {s: str(w) for s, w in row.target.weights.items()},
            "reasons": list(row.target.reasons),
            "score": None if score is None else repr(score),
            "usable": row.target.usable,
            "as_of": row.target.as_of.isoformat(),
            "valid_until": row.valid_until.isoformat(),
            "model_version": row.model_version,
            "share_imputed": repr(row.share_imputed),
            "prices": {s: str(p) for s, p in row.prices.items()},
        }
    if facts is not None:
        found["chain"] = {
            "passphrase": facts.passphrase,
            "ledger": facts.vault.ledger,
            "sequence": facts.account.sequence,
            "balance_stroops": facts.account.balance_stroops,
            "rebalance_manager": facts.vault.rebalance_manager,
            "code_hash": facts.vault.code_hash,
            "funds": {f.asset: {"total": f.total, "idle": f.idle} for f in facts.vault.funds},
        }
    if history is not None:
        last = history.last_action_at
        found["history"] = {"last_action_at": last and last.isoformat(), "turnover_day": str(history.turnover_day)}
    if judgement is not None:
        found["drift"] = str(judgement.decision.drift)
        if judgement.state is not None:
            found["state"] = {
                "weights": {s: str(w) for s, w in judgement.state.weights.items()},
                "tvl_usd": str(judgement.state.tvl_usd),
            }
    return found


def plan_json(row: TargetInput, judgement: Judgement, facts: ChainFacts) -> dict[str, Any] | None:
    """The plan of an acting decision, None for any other. `funds` is what it was made for."""
    decision, trades = judgement.decision, judgement.trades
    if decision.weights is None or trades is None:
        return None
    return {
        "weights": {s: str(w) for s, w in decision.weights.items()},
        "turnover": str(decision.turnover),
        "drift": str(decision.drift),
        "prices": {s: str(p) for s, p in row.prices.items()},
        "funds": {f.asset: f.total for f in facts.vault.funds},
        "ledger": facts.vault.ledger,
        "instructions": [instruction_json(i) for i in trades.instructions],
        "expected_loss": str(trades.loss),
    }
