"""From a transaction or a decision back to the rows it rests on: what happened, why, and who said so when.

As in `models.runs.reading`, statements are text and are asked through a function of the caller, so that the API and the
command line cannot tell two stories. Envelopes stay where they are: a signed one is as good as a cheque.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from models.contracts.tables import (
    KEEPER_ATTEMPTS,
    KEEPER_DECISIONS,
    KEEPER_EVENTS,
    KEEPER_INTENTS,
    ML_PROMOTIONS,
    OPS_SERIES,
    RAW_CANDLES,
    RAW_FX_RATES,
    RISK_REGRET,
    RISK_SCORE_INPUTS,
    RISK_SCORES,
    RISK_TARGET_ALLOCATIONS,
)
from models.runs.reading import Ask

HASH_FORM = re.compile(r"[0-9a-f]{64}")
DAY = timedelta(days=1)  # raw rows of a feature row: those of the day that ends with it

_BY_HASH = f"""
    select i.decision_id from {KEEPER_ATTEMPTS} as a join {KEEPER_INTENTS} as i on i.id = a.intent_id
    where a.tx_hash = :hash
"""
_DECISION = f"select * from {KEEPER_DECISIONS} where id = :id"
_INTENT = f"""
    select id, vault_id, source_account, action, state, reason, attempts, not_after, plan_hash, created_at, updated_at
    from {KEEPER_INTENTS} where decision_id = :id
"""
_ATTEMPTS = f"""
    select n, tx_hash, sequence, state, result_code, contract_error, ledger, fee_bid, inclusion_fee, resource_fee,
        fee_charged, max_time, max_ledger, sim_ledger, first_sent_ledger, last_sent_ledger, created_at, decided_at
    from {KEEPER_ATTEMPTS} where intent_id = :id order by n
"""
# What a signer or a node was handed is left out: bodies are told without their envelopes.
_EVENTS = f"""
    select seq, at, kind, body - 'unsigned_xdr' - 'signed_xdr' as body, hash
    from {KEEPER_EVENTS} where intent_id = :id order by seq
"""
_TARGET = f"select * from {RISK_TARGET_ALLOCATIONS} where id = :id"
_SCORE = f"select * from {RISK_SCORES} where id = :id"
_INPUTS = f"select legs, rows, first_as_of, data_hash, recorded_at from {RISK_SCORE_INPUTS} where score_id = :id"
_MODEL = f"""
    select id, action, model_name, model_version, algorithm, reason, promoted_by, promoted_at, evidence
    from {ML_PROMOTIONS} where id = :id
"""
_FEATURES = """
    select f.* from unnest(cast(:series as text[]), cast(:moments as timestamptz[])) as leg (series, as_of)
    join features.volatility as f on f.series = leg.series and f.as_of = leg.as_of order by f.series
"""
# Value columns differ by kind; the clocks and the provenance do not.
_RAW = """
    select '{table}' as "table", r.series, r.interval, r.ts, r.available_at, r.recorded_at, r.source, r.provider,
        r.data_mode, r.run_id, r.seq, jsonb_build_object({values}) as "values"
    from {table} as r
    join {known} as known on known.id = r.series and known.interval = r.interval and known.dataset = '{dataset}'
    where r.series = :series and r.ts >= :since and r.ts < :until
        and (known.dataset = 'candles' and known.interval = '1h'
            or known.dataset = 'fx_rates' and known.interval = '1d' and known.kind in ('ranges', 'fixings'))
    order by r.ts desc, r.available_at desc, r.seq desc
"""
_CANDLES = _RAW.format(
    table=RAW_CANDLES, known=OPS_SERIES, dataset="candles",
    values="'open', r.open, 'high', r.high, 'low', r.low, 'close', r.close, 'volume_base', r.volume_base",
)  # fmt: skip
_RATES = _RAW.format(
    table=RAW_FX_RATES, known=OPS_SERIES, dataset="fx_rates",
    values="'rate', r.rate, 'open', r.open, 'high', r.high, 'low', r.low",
)  # fmt: skip
_REGRET = f"select * from {RISK_REGRET} where decision_id = :id order by horizon_days"
_ENVELOPE_STATES = ("signing", "signed", "submitted", "confirmed", "failed", "expired", "unknown", "needs_human")


class Trails:
    """Reads the way back of one decision at a time."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def decision_id(self, name: str) -> UUID | None:
        """Id of the decision that is called `name`, or whose transaction has this hash; None if there is none."""
        lowered = name.strip().lower()
        if HASH_FORM.fullmatch(lowered):
            found = self._ask(_BY_HASH, {"hash": lowered})
            return UUID(str(found[0]["decision_id"])) if found else None
        try:
            asked = UUID(lowered)
        except ValueError:
            return None
        return asked if self._ask(_DECISION, {"id": asked}) else None

    def of(self, decision_id: UUID) -> dict[str, Any]:
        """Everything behind a decision.

        Returns
        -------
        dict
            `decision`, `intent`, `attempts`, `events`, `target`, `score`, `score_inputs`, `model`, `features`, `raw`,
            `regret`; what there is none of is None or empty. `gaps`: names of links that should be there and are not,
            with what is missing; empty for a complete chain.

        Raises
        ------
        IndexError
            If there is no such decision.
        """
        decision = dict(self._ask(_DECISION, {"id": decision_id})[0])
        intent = self._one(_INTENT, decision_id)
        told = (decision["inputs"].get("target") or {}).get("target_id")
        target = self._one(_TARGET, told) if told is not None else None
        score = self._one(_SCORE, target["score_id"]) if target and target["score_id"] else None
        inputs = self._one(_INPUTS, score["id"]) if score else None
        found: dict[str, Any] = {
            "decision": decision,
            "intent": intent,
            "attempts": self._all(_ATTEMPTS, intent["id"]) if intent else [],
            "events": self._all(_EVENTS, intent["id"]) if intent else [],
            "target": target,
            "score": score,
            "score_inputs": inputs,
            "model": self._one(_MODEL, score["promotion_id"]) if score and score["promotion_id"] else None,
            "features": self._features(inputs) if inputs else [],
        }
        issued_at = score["issued_at"] if score else None
        found["raw"] = [row for feature in found["features"] for row in self._raw(feature, issued_at)]
        found["regret"] = self._all(_REGRET, decision_id)
        found["gaps"] = gaps(found)
        return found

    def _features(self, inputs: Mapping[str, Any]) -> list[dict[str, Any]]:
        legs = sorted(inputs["legs"].items())
        asked = {"series": [series for series, _ in legs], "moments": [moment for _, moment in legs]}
        return [{name: _finite(value) for name, value in row.items()} for row in self._ask(_FEATURES, asked)]

    def _raw(self, feature: Mapping[str, Any], issued_at: datetime | None) -> list[dict[str, Any]]:
        """Rows of the day behind a feature row, newest first; `was_known`: before the score was issued."""
        asked = {"series": feature["series"], "since": feature["as_of"] - DAY, "until": feature["as_of"]}
        rows = [*self._ask(_CANDLES, asked), *self._ask(_RATES, asked)]
        return [{**row, "was_known": issued_at is not None and row["available_at"] <= issued_at} for row in rows]

    def _one(self, statement: str, key: Any) -> dict[str, Any] | None:
        rows = self._ask(statement, {"id": key})
        return dict(rows[0]) if rows else None

    def _all(self, statement: str, key: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in self._ask(statement, {"id": key})]


def gaps(trail: Mapping[str, Any]) -> list[str]:
    """Links of a trail that should be there and are not. A tick without a target has none beyond the decision."""
    decision, intent, target, score = (trail[name] for name in ("decision", "intent", "target", "score"))
    wanted = [
        ("intent", decision["verdict"] == "rebalance" and intent is None),
        ("attempts", intent is not None and intent["state"] in _ENVELOPE_STATES and not trail["attempts"]),
        ("events", intent is not None and not trail["events"]),
        ("target", decision["score_as_of"] is not None and target is None),
        ("score", target is not None and target["score"] is not None and score is None),
    ]
    if score is not None:
        legs = set(trail["score_inputs"]["legs"]) if trail["score_inputs"] else set()
        wanted += [
            ("model", score["rv_forecast"] is not None and trail["model"] is None),
            ("score_inputs", trail["score_inputs"] is None),
            ("features", _lacks(legs, trail["features"])),
            ("raw", _lacks(legs, [row for row in trail["raw"] if row["was_known"]])),
        ]
    return [name for name, is_missing in wanted if is_missing]


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _lacks(legs: set[str], rows: Sequence[Mapping[str, Any]]) -> bool:
    return bool(legs - {row["series"] for row in rows})
