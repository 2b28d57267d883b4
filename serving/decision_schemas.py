"""Answers about decisions, transactions, allocations and what vaults hold. Weights are decimal text."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from serving.schemas import Market

Verdict = Literal["rebalance", "hold", "refuse"]
Weights = dict[str, str]

_MARKET: dict[str, Any] = {"name": "simulated", "data_mode": "simulated", "time": "2026-01-01T00:30:00Z"}
_CURSOR = "MjAyNi0wMS0wMVQwMDowMDowMCswMDowMHw0Mg=="
_HASH = "7bdad162e3568d66506b70980f0c3ec9a29cdbcac8c1139cf39d84119a5478f5"
_DECISION: dict[str, Any] = {
    "id": "74cb1575-b00d-4d15-8ece-6eb5fa39f5d7", "vault_id": "mixed", "verdict": "rebalance",
    "reasons": ["volatility_above_target"], "policy_version": "voltarget-1", "score_as_of": "2026-01-01T00:00:00Z",
    "market_time": "2026-01-01T00:30:00Z", "created_at": "2026-01-01T00:30:01Z", "data_mode": "simulated",
    "phase": "devnet", "run_id": "command line", "intent_id": "5d3a8f0e-6f0c-4f8e-9a51-0d7f3a2b1c4d",
    "intent_state": "confirmed", "intent_reason": "resolved by ann", "tx_hash": _HASH,
}  # fmt: skip
_TRANSACTION: dict[str, Any] = {
    "tx_hash": _HASH, "n": 1, "vault_id": "mixed", "decision_id": _DECISION["id"], "intent_id": _DECISION["intent_id"],
    "action": "reduce", "intent_state": "failed", "source_account": "GA...", "sequence": 12884901889,
    "state": "failed", "result_code": "txFAILED", "contract_error": "128", "ledger": 412, "fee_bid": 250_100,
    "fee_charged": 180_000, "max_time": 1767227475, "max_ledger": 530, "created_at": "2026-01-01T00:30:01Z",
    "decided_at": "2026-01-01T00:30:06Z", "market_time": "2026-01-01T00:30:00Z", "data_mode": "simulated",
    "phase": "devnet",
}  # fmt: skip
_SNAPSHOT: dict[str, Any] = {
    "vault_id": "mixed", "ts": "2026-01-01T00:30:00Z", "ledger": 413, "tvl_usd": 998_212.5, "share_price": 0.9982,
    "weights": {"USDC": "0.55", "BTC": "0.45"}, "source": "devnet", "available_at": "2026-01-01T00:30:00Z",
    "data_mode": "simulated",
}  # fmt: skip
_TARGET: dict[str, Any] = {
    "id": 7, "vault_id": "mixed", "as_of": "2026-01-01T00:00:00Z", "issued_at": "2026-01-01T00:15:00Z",
    "valid_until": "2026-01-01T02:00:00Z", "state": "risk_off", "weights": {"USDC": "0.55", "BTC": "0.45"},
    "score": 62.4, "score_id": 31, "model_version": "3", "policy_version": "voltarget-1",
    "reasons": ["volatility_above_target"], "data_mode": "simulated", "share_imputed": 0.0, "degraded": False,
}  # fmt: skip
_HELD: dict[str, Any] = {
    "held_at": "2026-01-01T00:30:00Z", "held_ledger": 413, "tvl_usd": 998_212.5, "share_price": 0.9982,
    "held_weights": {"USDC": "0.55", "BTC": "0.45"}, "stale": False,
}  # fmt: skip


def _shown(*examples: dict[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": list(examples)})


class DecisionLine(BaseModel):
    """One tick of the keeper, acted or not."""

    model_config = _shown(_DECISION)

    id: UUID
    vault_id: str
    verdict: Verdict = Field(description="`rebalance`, `hold` (nothing to do, or not now) or `refuse` (unsafe)")
    reasons: list[str]
    policy_version: str
    score_as_of: datetime | None
    market_time: datetime
    created_at: datetime = Field(description="Wall time")
    data_mode: str
    phase: str
    run_id: str | None
    intent_id: UUID | None = Field(description="What followed; null unless `rebalance`")
    intent_state: str | None
    intent_reason: str | None
    tx_hash: str | None = Field(description="Newest envelope; null before the first")


class DecisionPage(BaseModel):
    model_config = _shown({"market": _MARKET, "decisions": [_DECISION], "next_cursor": _CURSOR})

    market: Market
    decisions: list[DecisionLine] = Field(description="Newest market time first")
    next_cursor: str | None = Field(description="Pass as `cursor` for the next page; null on the last one")


class DecisionTrail(BaseModel):
    """A decision and everything it rests on, link by link; what there is none of is null or empty."""

    model_config = _shown({
        "market": _MARKET, "decision": {"id": _DECISION["id"], "verdict": "rebalance", "inputs": {}, "plan": {}},
        "intent": {"id": _DECISION["intent_id"], "state": "confirmed"}, "attempts": [{"n": 1, "tx_hash": _HASH}],
        "events": [{"seq": 1, "kind": "planned"}], "target": {"id": 7}, "score": {"id": 31, "score": 62.4},
        "score_inputs": {"rows": 1100, "data_hash": "9a1b6c2d3e4f5061"}, "model": {"model_version": "3"},
        "features": [{"series": "BTC", "rv": 0.0006}],
        "raw": [{"series": "BTC", "ts": "2025-12-31T23:00:00Z", "available_at": "2026-01-01T00:00:00Z"}],
        "regret": [], "gaps": [],
    })  # fmt: skip

    market: Market
    decision: dict[str, Any] = Field(description="Row of `keeper.decisions` with all inputs, reasons and the plan")
    intent: dict[str, Any] | None
    attempts: list[dict[str, Any]] = Field(description="Envelopes by number, without their bytes")
    events: list[dict[str, Any]] = Field(description="What happened, in order, with its hash")
    target: dict[str, Any] | None = Field(description="Row of `risk.target_allocations`")
    score: dict[str, Any] | None = Field(description="Row of `risk.scores`")
    score_inputs: dict[str, Any] | None = Field(description="What the score was made of, and its hash")
    model: dict[str, Any] | None = Field(description="Entry of the promotion ledger by which the model spoke")
    features: list[dict[str, Any]] = Field(description="Newest feature row of each leg")
    raw: list[dict[str, Any]] = Field(
        description="Raw rows of the day behind them: `ts` event time, `available_at` known time, `recorded_at` "
        "stored; `was_known`: before the score was issued"
    )
    regret: list[dict[str, Any]] = Field(description="The move beside the vault that did not move, once scored")
    gaps: list[str] = Field(description="Links that should be there and are not; empty for a complete chain")


class Transaction(BaseModel):
    """One envelope."""

    model_config = _shown(_TRANSACTION)

    tx_hash: str
    n: int = Field(description="Number of the envelope within its intent")
    vault_id: str
    decision_id: UUID
    intent_id: UUID
    action: str
    intent_state: str
    source_account: str
    sequence: int
    state: str = Field(description="signing, signed, void, submitted, confirmed, failed, expired or unknown")
    result_code: str | None
    contract_error: str | None
    ledger: int | None
    fee_bid: int = Field(description="Most it may cost, stroops")
    fee_charged: int | None = Field(description="What it cost, stroops")
    max_time: int = Field(description="Close time after which no ledger may hold it, Unix seconds")
    max_ledger: int | None
    created_at: datetime = Field(description="Wall time")
    decided_at: datetime | None = Field(description="Wall time")
    market_time: datetime = Field(description="Of the decision")
    data_mode: str
    phase: str


class TransactionPage(BaseModel):
    model_config = _shown({"market": _MARKET, "transactions": [_TRANSACTION], "next_cursor": _CURSOR})

    market: Market
    transactions: list[Transaction] = Field(description="Newest first")
    next_cursor: str | None = Field(description="Pass as `cursor` for the next page; null on the last one")


class VaultSnapshot(BaseModel):
    """What a vault held, as read from its chain."""

    model_config = _shown(_SNAPSHOT)

    vault_id: str
    ts: datetime = Field(description="Market time")
    ledger: int | None
    tvl_usd: float | None
    share_price: float | None
    weights: Weights | None
    source: str = Field(description="Network")
    available_at: datetime
    data_mode: str


class SnapshotPage(BaseModel):
    model_config = _shown({"market": _MARKET, "snapshots": [_SNAPSHOT], "next_cursor": _CURSOR})

    market: Market
    snapshots: list[VaultSnapshot] = Field(description="Newest first")
    next_cursor: str | None = Field(description="Pass as `cursor` for the next page; null on the last one")


class TargetAllocation(BaseModel):
    """What the policy wanted of a vault at one score."""

    model_config = _shown(_TARGET)

    id: int
    vault_id: str
    as_of: datetime
    issued_at: datetime = Field(description="Market time")
    valid_until: datetime
    state: Literal["risk_on", "risk_off"]
    weights: Weights = Field(description="Wanted share of value by symbol")
    score: float | None
    score_id: int | None
    model_version: str
    policy_version: str
    reasons: list[str]
    data_mode: str
    share_imputed: float
    degraded: bool = Field(description="True: the last target is repeated and nothing may move")


class Allocation(TargetAllocation):
    """The newest target of a vault beside what it held last."""

    model_config = _shown({**_TARGET, **_HELD})

    held_at: datetime | None = Field(description="Market time of the newest snapshot; null before the first")
    held_ledger: int | None
    tvl_usd: float | None
    share_price: float | None
    held_weights: Weights | None
    stale: bool = Field(description="True when the market clock has passed `valid_until`")


class AllocationCurrent(BaseModel):
    model_config = _shown({"market": _MARKET, "allocations": [{**_TARGET, **_HELD}]})

    market: Market
    allocations: list[Allocation]


class AllocationPage(BaseModel):
    model_config = _shown({"market": _MARKET, "targets": [_TARGET], "next_cursor": _CURSOR})

    market: Market
    targets: list[TargetAllocation] = Field(description="Newest first")
    next_cursor: str | None = Field(description="Pass as `cursor` for the next page; null on the last one")
