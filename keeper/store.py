"""The keeper's memory in PostgreSQL; with `keeper.event_log` all that speaks SQL. Every method is one transaction.

What must be on disk before what happens is decided by `keeper.executor`; here each state change checks that it is
legal and that nobody moved the intent in between, and writes a link of the hash-chained event log with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, Engine, Row

from keeper.event_log import append_event, canonical, sha256_hex, sql, verify
from keeper.intent import OPEN, Attempt, Intent, IntentState, check_transition
from keeper.limits import Control, ControlMode
from models.contracts.vault import ActionHistory, Streak

GLOBAL_SCOPE = "global"
_STRICTNESS = [ControlMode.RUN, ControlMode.REDUCE_ONLY, ControlMode.HALT]
# States whose funds moved or may have moved: they count against cooldown and turnover.
_EFFECTIVE = ("signed", "submitted", "confirmed", "unknown", "needs_human")
_DECIDED = (IntentState.CONFIRMED, IntentState.FAILED, IntentState.EXPIRED)
_INTENT_COLUMNS = ", ".join(f.name for f in fields(Intent))
_ATTEMPT_COLUMNS = ", ".join(f.name for f in fields(Attempt))


class StaleIntent(RuntimeError):
    """Somebody else moved the intent since it was read: read it again."""


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """One tick, acted or not. `inputs`, `plan`: JSON values."""

    vault_id: str
    policy_version: str
    score_as_of: datetime | None
    verdict: str
    reasons: Sequence[str]
    inputs: Mapping[str, Any]
    plan: Mapping[str, Any] | None
    data_mode: str
    phase: str
    market_time: datetime
    run_id: str | None


@dataclass(frozen=True, slots=True)
class NewIntent:
    source_account: str
    action: str
    not_after: datetime


class KeeperStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def lock(self, source_account: str) -> Iterator[bool]:
        """Advisory lock of an account for the length of the block; yields False if somebody else holds it.

        It belongs to the database session, so a killed process releases it.
        """
        key = int.from_bytes(hashlib.sha256(source_account.encode()).digest()[:8], "big", signed=True)
        with self._engine.connect() as connection:
            taken = bool(connection.scalar(sql("select pg_try_advisory_lock(:key)"), {"key": key}))
            connection.commit()
            try:
                yield taken
            finally:
                if taken:
                    connection.execute(sql("select pg_advisory_unlock(:key)"), {"key": key})
                    connection.commit()

    def control(self, vault_id: str) -> Control:
        """Strictest of the newest global and the newest vault entry; RUN if nobody ever set one."""
        query = sql("""
            select distinct on (scope) mode, reason from keeper.control
            where scope in (:everything, :vault) order by scope, seq desc""")
        with self._engine.connect() as connection:
            rows = connection.execute(query, {"everything": GLOBAL_SCOPE, "vault": vault_id}).all()
        found = [Control(ControlMode(mode), reason) for mode, reason in rows]
        return max(found, key=lambda c: _STRICTNESS.index(c.mode), default=Control(ControlMode.RUN, "never set"))

    def set_control(self, scope: str, mode: ControlMode, reason: str, set_by: str) -> None:
        """Append a switch position for `scope` ("global" or a vault id)."""
        row = {"scope": scope, "mode": mode.value, "reason": reason, "set_by": set_by}
        with self._engine.begin() as connection:
            connection.execute(
                sql(
                    "insert into keeper.control (scope, mode, reason, set_by) values (:scope, :mode, :reason, :set_by)"
                ),
                row,
            )
            append_event(connection, None, "control", row)

    def record(self, row: DecisionRow, new: NewIntent | None = None) -> tuple[UUID, Intent | None] | None:
        """Store a decision and, with it, the intent that follows. None if this score was already acted on."""
        decision_id = uuid4()
        plan = None if row.plan is None else canonical(row.plan)
        names = [f.name for f in fields(DecisionRow)]
        values = {name: getattr(row, name) for name in names}
        values |= {"id": decision_id, "reasons": [str(r) for r in row.reasons], "inputs": canonical(row.inputs)}
        values["plan"] = plan
        insert = sql(f"""
            insert into keeper.decisions (id, {", ".join(names)})
            values (:id, {", ".join(f"cast(:{n} as jsonb)" if n in ("inputs", "plan") else f":{n}" for n in names)})
            on conflict (vault_id, policy_version, score_as_of) where verdict = 'rebalance' do nothing returning id""")
        with self._engine.begin() as connection:
            if connection.execute(insert, values).first() is None:
                return None
            if new is None or plan is None:
                return decision_id, None
            intent_id = uuid4()
            planned = connection.execute(
                sql(f"""
                    insert into keeper.intents
                        (id, decision_id, vault_id, source_account, action, plan, plan_hash, state, not_after)
                    values (:id, :decision, :vault, :account, :action, cast(:plan as jsonb), :hash, 'planned',
                        :until)
                    returning {_INTENT_COLUMNS}"""),
                {"id": intent_id, "decision": decision_id, "vault": row.vault_id, "account": new.source_account,
                 "action": new.action, "plan": plan, "hash": sha256_hex(plan), "until": new.not_after},
            ).one()  # fmt: skip
            append_event(connection, intent_id, "planned", {"decision_id": str(decision_id), "plan": row.plan})
            return decision_id, _as_intent(planned)

    def intent(self, intent_id: UUID) -> Intent:
        """One intent as it is stored now. Raises sqlalchemy's NoResultFound if there is none of this id."""
        with self._engine.connect() as connection:
            return _intent(connection, intent_id)

    def open_intents(self, source_account: str) -> list[Intent]:
        """Intents of an account without a final state, oldest first."""
        query = sql(
            f"select {_INTENT_COLUMNS} from keeper.intents where source_account = :account and state = any(:open) "
            "order by created_at"
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query, {"account": source_account, "open": [s.value for s in OPEN]}).all()
        return [_as_intent(row) for row in rows]

    def open_intents_of(self, vault_id: str) -> list[Intent]:
        """Intents of a vault without a final state, oldest first, whatever account they are of."""
        query = sql(
            f"select {_INTENT_COLUMNS} from keeper.intents where vault_id = :vault and state = any(:open) "
            "order by created_at"
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query, {"vault": vault_id, "open": [s.value for s in OPEN]}).all()
        return [_as_intent(row) for row in rows]

    def attempts(self, intent_id: UUID) -> list[Attempt]:
        """Attempts of an intent, oldest first."""
        return self._attempts("intent_id = :value", intent_id)

    def signed_with_sequence(self, source_account: str, sequence: int) -> list[Attempt]:
        """Every envelope of an account that was ever signed with `sequence`, whatever became of it."""
        return self._attempts(
            "sequence = :value and signed_xdr is not null and intent_id in "
            "(select id from keeper.intents where source_account = :account)",
            sequence,
            account=source_account,
        )

    def last_used_sequence(self, source_account: str) -> int:
        """Highest sequence number that a ledger is known to have used up for us; 0 before the first."""
        query = sql("""
            select coalesce(max(a.sequence), 0) from keeper.attempts a join keeper.intents i on i.id = a.intent_id
            where i.source_account = :account and a.state in ('confirmed', 'failed')""")
        with self._engine.connect() as connection:
            return int(connection.execute(query, {"account": source_account}).scalar_one())

    def newest_ledger(self, source_account: str) -> int:
        """Newest ledger that is known to hold a transaction of ours; 0 before the first."""
        query = sql("""
            select coalesce(max(a.ledger), 0) from keeper.attempts a join keeper.intents i on i.id = a.intent_id
            where i.source_account = :account""")
        with self._engine.connect() as connection:
            return int(connection.execute(query, {"account": source_account}).scalar_one())

    def required_inclusion_fee(self, intent_id: UUID) -> int:
        """Highest inclusion fee, in stroops, that a node asked for when it refused a send of the intent; 0 if none."""
        query = sql("""
            select coalesce(max((body ->> 'required_inclusion_fee')::bigint), 0) from keeper.events
            where intent_id = :intent and kind = 'submitted'""")
        with self._engine.connect() as connection:
            return int(connection.execute(query, {"intent": intent_id}).scalar_one())

    def failures_in_row(self, source_account: str) -> int:
        """How many of the account's newest transactions on the ledger failed one after another."""
        query = sql("""
            select count(*) from keeper.attempts a join keeper.intents i on i.id = a.intent_id
            where i.source_account = :account and a.state = 'failed' and a.sequence > (
                select coalesce(max(b.sequence), 0) from keeper.attempts b join keeper.intents j on j.id = b.intent_id
                where j.source_account = :account and b.state = 'confirmed')""")
        with self._engine.connect() as connection:
            return int(connection.execute(query, {"account": source_account}).scalar_one())

    def history(self, vault_id: str, now: datetime) -> ActionHistory:
        """Last action, turnover and dollars of the 24 hours before `now`, in market time; what may have moved counts.

        The streak of scores is that of the newest decision for which the policy was asked.
        """
        query = sql("""
            with acted as (
                select d.market_time, (i.plan ->> 'turnover')::numeric as moved,
                    (d.inputs -> 'state' ->> 'tvl_usd')::numeric as tvl_usd
                from keeper.intents i join keeper.decisions d on d.id = i.decision_id
                where i.vault_id = :vault and i.state = any(:effective)
            ), today as (
                select * from acted where market_time > cast(:now as timestamptz) - interval '24 hours'
            )
            select (select max(market_time) from acted), coalesce(sum(moved), 0), coalesce(sum(moved * tvl_usd), 0),
                (select inputs -> 'streak' from keeper.decisions
                 where vault_id = :vault and inputs -> 'streak' is not null order by created_at desc limit 1)
            from today""")
        with self._engine.connect() as connection:
            values = {"now": now, "vault": vault_id, "effective": list(_EFFECTIVE)}
            last, moved, moved_usd, streak = connection.execute(query, values).one()
        return ActionHistory(last, Decimal(moved), Decimal(moved_usd), _as_streak(streak))

    def move(
        self,
        intent: Intent,
        to: IntentState,
        event: Mapping[str, Any],
        reason: str | None = None,
        prepared: Mapping[str, Any] | None = None,
        attempt: Attempt | None = None,
        outcome: Mapping[str, Any] | None = None,
    ) -> Intent:
        """Change the state of an intent, with its attempt and an event, in one commit.

        Parameters
        ----------
        attempt : inserted, or its mutable columns updated if (intent, n) exists.
        outcome : what the ledger said of the attempt: contract_error, ledger, fee_charged.

        Raises
        ------
        IllegalTransition
            If the machine does not know the change.
        StaleIntent
            If the intent is no longer as it was read.
        """
        check_transition(intent.state, to)
        with self._engine.begin() as connection:
            changed = connection.execute(
                sql(f"""
                    update keeper.intents set state = :state, reason = coalesce(:reason, reason),
                        prepared = cast(:prepared as jsonb), attempts = greatest(attempts, :n),
                        updated_at = clock_timestamp(), version = version + 1
                    where id = :id and version = :version
                    returning {_INTENT_COLUMNS}"""),
                {"state": to.value, "reason": reason, "id": intent.id, "version": intent.version,
                 "prepared": None if prepared is None else canonical(prepared), "n": attempt.n if attempt else 0},
            ).one_or_none()  # fmt: skip
            if changed is None:
                raise StaleIntent(f"intent {intent.id} changed since it was read; read it again")
            if attempt is not None:
                _save_attempt(connection, attempt, outcome or {}, decided=to in _DECIDED)
            append_event(connection, intent.id, to.value, {**event, "reason": reason} if reason else event)
            return _as_intent(changed)

    def note(self, intent: Intent, kind: str, body: Mapping[str, Any]) -> None:
        """Append an event that changes no state."""
        with self._engine.begin() as connection:
            append_event(connection, intent.id, kind, body)

    def is_approved(self, intent_id: UUID) -> bool:
        """Whether a human gave leave to sign the intent (`keeper.cli.approve`)."""
        return bool(self.noted(intent_id, "approved"))

    def noted(self, intent_id: UUID, kind: str) -> list[dict[str, Any]]:
        """Bodies of an intent's events of one kind, oldest first."""
        query = sql("select body from keeper.events where intent_id = :intent and kind = :kind order by seq")
        with self._engine.connect() as connection:
            return [dict(row.body) for row in connection.execute(query, {"intent": intent_id, "kind": kind})]

    def clean_days(self, vault_id: str, passphrase: str, data_modes: Sequence[str], least: int = 20) -> int:
        """Days (UTC, market time) on which the keeper rehearsed without an incident, on one network.

        A day counts with at least `least` decisions of phases that wait for nobody's signature or ask for a human's
        leave, one of which met the network of `passphrase`; with none that refused or found no chain; and with no
        intent that was rejected or cannot be decided.
        """
        query = sql("""
            select count(*) from (
                select date_trunc('day', d.market_time at time zone 'UTC')
                from keeper.decisions d left join keeper.intents i on i.decision_id = d.id
                where d.vault_id = :vault and d.phase in ('shadow', 'testnet', 'approve') and d.data_mode = any(:modes)
                group by 1
                having count(*) >= :least
                    and bool_or(d.inputs #>> '{chain,passphrase}' = :passphrase)
                    and not bool_or(d.verdict = 'refuse' or d.reasons && :incidents)
                    and not bool_or(coalesce(i.state in ('rejected', 'failed', 'unknown', 'needs_human'), false))
            ) as clean""")
        values = {"vault": vault_id, "modes": list(data_modes), "least": least, "passphrase": passphrase,
                  "incidents": ["chain_unavailable", "chain_unhealthy"]}  # fmt: skip
        with self._engine.connect() as connection:
            return int(connection.execute(query, values).scalar_one())

    def verify_events(self) -> int:
        """Number of events whose chain holds from the first on. Raises BrokenEventLog."""
        with self._engine.connect() as connection:
            return verify(connection)

    def latest(self, vault_id: str, limit: int = 10) -> list[dict[str, Any]]:
        """Newest decisions of a vault with the state of their intents, newest first."""
        query = sql("""
            select d.id, d.created_at, d.market_time, d.score_as_of, d.verdict, d.reasons, d.phase, d.data_mode,
                i.id as intent_id, i.state as intent_state, i.reason as intent_reason,
                (select a.tx_hash from keeper.attempts a where a.intent_id = i.id order by a.n desc limit 1) as tx_hash
            from keeper.decisions d left join keeper.intents i on i.decision_id = d.id
            where d.vault_id = :vault order by d.created_at desc limit :limit""")
        with self._engine.connect() as connection:
            return [dict(row._mapping) for row in connection.execute(query, {"vault": vault_id, "limit": limit})]

    def _attempts(self, condition: str, value: Any, **values: Any) -> list[Attempt]:
        query = sql(f"select {_ATTEMPT_COLUMNS} from keeper.attempts where {condition} order by created_at, n")
        with self._engine.connect() as connection:
            return [Attempt(**row._mapping) for row in connection.execute(query, {"value": value, **values})]


def _save_attempt(connection: Connection, attempt: Attempt, outcome: Mapping[str, Any], decided: bool) -> None:
    names = [f.name for f in fields(Attempt)]
    extra = ("contract_error", "ledger", "fee_charged")
    mutable = ("signed_xdr", "first_sent_ledger", "last_sent_ledger", "state", "result_code", *extra, "decided_at")
    connection.execute(
        sql(f"""
            insert into keeper.attempts ({", ".join((*names, *extra))}, decided_at)
            values ({", ".join(f":{n}" for n in (*names, *extra))}, case when :decided then clock_timestamp() end)
            on conflict (intent_id, n) do update set {", ".join(f"{n} = excluded.{n}" for n in mutable)}"""),
        {**asdict(attempt), **{n: outcome.get(n) for n in extra}, "decided": decided},
    )


def _intent(connection: Connection, intent_id: UUID) -> Intent:
    query = sql(f"select {_INTENT_COLUMNS} from keeper.intents where id = :id")
    return _as_intent(connection.execute(query, {"id": intent_id}).one())


def _as_intent(row: Row[Any]) -> Intent:
    values = dict(row._mapping)
    return Intent(**{**values, "state": IntentState(values["state"])})


def _as_streak(stored: Mapping[str, Any] | None) -> Streak:
    if stored is None:
        return Streak()
    as_of = stored["as_of"]
    return Streak(as_of and datetime.fromisoformat(as_of), stored["reduces"], stored["scores"])
