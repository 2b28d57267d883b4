"""Decisions, transactions, snapshots and allocations as lists, newest first, page by page.

Statements are text and are asked through a function of the caller. A page goes on after the `before` of its last row:
its moment and what tells rows of one moment apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from models.contracts.tables import (
    KEEPER_ATTEMPTS,
    KEEPER_DECISIONS,
    KEEPER_INTENTS,
    OPS_VAULTS,
    RAW_VAULT_SNAPSHOTS,
    RISK_TARGET_ALLOCATIONS,
)
from models.runs.reading import Ask

Rows = Sequence[Mapping[str, Any]]

_DECISIONS = f"""
    select d.id, d.vault_id, d.verdict, d.reasons, d.policy_version, d.score_as_of, d.market_time, d.created_at,
        d.data_mode, d.phase, d.run_id, i.id as intent_id, i.state as intent_state, i.reason as intent_reason,
        a.tx_hash
    from {KEEPER_DECISIONS} as d left join {KEEPER_INTENTS} as i on i.decision_id = d.id
    left join lateral (
        select tx_hash from {KEEPER_ATTEMPTS} where intent_id = i.id order by n desc limit 1
    ) as a on true
    where (cast(:vault_id as text) is null or d.vault_id = :vault_id)
        and (cast(:verdict as text) is null or d.verdict = :verdict)
        and (cast(:since as timestamptz) is null or d.market_time >= :since)
        and (cast(:until as timestamptz) is null or d.market_time < :until)
        and (cast(:at as timestamptz) is null or (d.market_time, d.id) < (:at, cast(:key as uuid)))
    order by d.market_time desc, d.id desc limit :limit
"""
_TRANSACTION = f"""
    select a.tx_hash, a.n, i.vault_id, i.decision_id, i.id as intent_id, i.action, i.state as intent_state,
        i.source_account, a.sequence, a.state, a.result_code, a.contract_error, a.ledger, a.fee_bid, a.fee_charged,
        a.max_time, a.max_ledger, a.created_at, a.decided_at, d.market_time, d.data_mode, d.phase
    from {KEEPER_ATTEMPTS} as a join {KEEPER_INTENTS} as i on i.id = a.intent_id
    join {KEEPER_DECISIONS} as d on d.id = i.decision_id
"""
_TRANSACTIONS = f"""{_TRANSACTION}
    where (cast(:vault_id as text) is null or i.vault_id = :vault_id)
        and (cast(:state as text) is null or a.state = :state)
        and (cast(:since as timestamptz) is null or d.market_time >= :since)
        and (cast(:until as timestamptz) is null or d.market_time < :until)
        and (cast(:at as timestamptz) is null or (a.created_at, a.tx_hash) < (:at, :key))
    order by a.created_at desc, a.tx_hash desc limit :limit
"""
_BY_HASH = f"{_TRANSACTION} where a.tx_hash = :hash"
_SNAPSHOTS = f"""
    select substr(series, 7) as vault_id, ts, ledger, tvl_usd, share_price, weights, source, available_at, data_mode,
        seq
    from {RAW_VAULT_SNAPSHOTS}
    where series like 'vault:%' and (cast(:vault_id as text) is null or series = 'vault:' || :vault_id)
        and (cast(:since as timestamptz) is null or ts >= :since)
        and (cast(:until as timestamptz) is null or ts < :until)
        and (cast(:at as timestamptz) is null or (ts, seq) < (:at, cast(:key as bigint)))
    order by ts desc, seq desc limit :limit
"""
_TARGET = """t.id, t.vault_id, t.as_of, t.issued_at, t.valid_until, t.state, t.weights, t.score, t.score_id,
    t.model_version, t.policy_version, t.reasons, t.data_mode, t.share_imputed, t.degraded"""
_HISTORY = f"""
    select {_TARGET} from {RISK_TARGET_ALLOCATIONS} as t
    where (cast(:vault_id as text) is null or t.vault_id = :vault_id)
        and (cast(:since as timestamptz) is null or t.issued_at >= :since)
        and (cast(:until as timestamptz) is null or t.issued_at < :until)
        and (cast(:at as timestamptz) is null or (t.issued_at, t.id) < (:at, cast(:key as bigint)))
    order by t.issued_at desc, t.id desc limit :limit
"""
_CURRENT = f"""
    select {_TARGET}, s.ts as held_at, s.ledger as held_ledger, s.tvl_usd, s.share_price, s.weights as held_weights
    from (select distinct on (vault_id) * from {RISK_TARGET_ALLOCATIONS} order by vault_id, as_of desc, id desc) as t
    left join lateral (
        select ts, ledger, tvl_usd, share_price, weights from {RAW_VAULT_SNAPSHOTS}
        where series = 'vault:' || t.vault_id order by ts desc, available_at desc, seq desc limit 1
    ) as s on true
    where (cast(:vault_id as text) is null or t.vault_id = :vault_id) order by t.vault_id
"""
_VAULTS = f"""
    select id from {OPS_VAULTS} union select vault_id from {KEEPER_DECISIONS}
    union select vault_id from {RISK_TARGET_ALLOCATIONS}
"""


class Before(NamedTuple):
    """Where a page goes on: the moment of the last row that was told, and its key among rows of one moment."""

    at: datetime
    key: str


class Pages:
    """`since` (included) and `until` (excluded) are market time."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def vaults(self) -> list[str]:
        """Vaults that anything is known of."""
        return sorted(row["id"] for row in self._ask(_VAULTS, {}))

    def decisions(
        self, vault_id: str | None, verdict: str | None, since: datetime | None, until: datetime | None,
        before: Before | None, limit: int,
    ) -> Rows:  # fmt: skip
        """Ticks by market time, with the end of what followed."""
        return self._page(_DECISIONS, before, vault_id=vault_id, verdict=verdict, since=since, until=until, limit=limit)

    def transactions(
        self, vault_id: str | None, state: str | None, since: datetime | None, until: datetime | None,
        before: Before | None, limit: int,
    ) -> Rows:  # fmt: skip
        """Envelopes in the order they were made."""
        return self._page(_TRANSACTIONS, before, vault_id=vault_id, state=state, since=since, until=until, limit=limit)

    def transaction(self, tx_hash: str) -> Mapping[str, Any] | None:
        """One envelope; None if no envelope has this hash."""
        rows = self._ask(_BY_HASH, {"hash": tx_hash})
        return rows[0] if rows else None

    def snapshots(
        self, vault_id: str | None, since: datetime | None, until: datetime | None, before: Before | None, limit: int
    ) -> Rows:
        """What vaults held, as it was read from their chains."""
        return self._page(_SNAPSHOTS, before, vault_id=vault_id, since=since, until=until, limit=limit)

    def targets(
        self, vault_id: str | None, since: datetime | None, until: datetime | None, before: Before | None, limit: int
    ) -> Rows:
        """What the policies wanted, by the moment they said it."""
        return self._page(_HISTORY, before, vault_id=vault_id, since=since, until=until, limit=limit)

    def current(self, vault_id: str | None) -> Rows:
        """Newest target of each vault beside what it held last; `held_*` None before the first snapshot."""
        return self._ask(_CURRENT, {"vault_id": vault_id})

    def _page(self, statement: str, before: Before | None, **asked: Any) -> Rows:
        at, key = before if before is not None else (None, None)
        return self._ask(statement, {**asked, "at": at, "key": key})
