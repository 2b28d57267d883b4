"""The registry of runs: what was asked, how far it is, what came out. Append-only; the newest event is the status.

As in `models.runs.reading`, statements are text and asked through functions of the caller: `ask` reads, `tell` writes
and commits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from models.contracts.runs import OPEN, Asker, RunKind, RunStatus
from models.contracts.tables import RISK_RUN_EVENTS, RISK_RUN_RESULTS, RISK_RUNS
from models.runs.plan import Outcome, Plan
from models.runs.reading import Ask

# All in one statement, so in one transaction: the run unless it is known, the event, and the result if there is one. An
# event that may not follow what was said before is left out by the database (revision 0014), and the result with it.
_RECORD = f"""
    with run as (
        insert into {RISK_RUNS} (id, kind, input_hash, inputs, data_hash, code_hash, environment_hash, environment,
            seed, work, requested_by, requested_at, data_mode)
        values (:id, :kind, :input_hash, cast(:inputs as jsonb), :data_hash, :code_hash, :environment_hash,
            cast(:environment as jsonb), :seed, :work, :by, :requested_at, :data_mode)
        on conflict (id) do nothing
    ),
    event as (
        insert into {RISK_RUN_EVENTS} (run, status, detail, said_by, run_id)
        values (:id, :status, :detail, :by, :run_id) returning id
    ),
    result as (
        insert into {RISK_RUN_RESULTS} (run, summary, curve, trades, seconds)
        select :id, cast(:summary as jsonb), cast(:curve as jsonb), cast(:trades as jsonb), :seconds from event
        where cast(:summary as text) is not null
        on conflict (run) do nothing
    )
    select id from event
"""
_EVENT = f"""
    insert into {RISK_RUN_EVENTS} (run, status, detail, said_by, run_id)
    values (:id, :status, :detail, :by, :run_id) returning id
"""
_RUNS = f"""
    select r.id, r.kind, r.input_hash, r.inputs, r.data_hash, r.code_hash, r.environment_hash, r.environment, r.seed,
        r.work, r.requested_by, r.requested_at, r.data_mode, r.recorded_at, e.status, e.detail, e.said_by,
        e.recorded_at as status_at, f.seconds, f.summary
    from {RISK_RUNS} as r
    join lateral (
        select * from {RISK_RUN_EVENTS} as own where own.run = r.id order by own.id desc limit 1
    ) as e on true
    left join {RISK_RUN_RESULTS} as f on f.run = r.id
"""
_FOUND = f"{_RUNS} where r.id = any(:ids)"
_PAGE = f"""{_RUNS}
    where r.kind = :kind
        and (cast(:vault_id as text) is null or r.inputs ->> 'vault_id' = :vault_id)
        and (cast(:status as text) is null or e.status = :status)
        and (cast(:before_at as timestamptz) is null or (r.recorded_at, r.id) < (:before_at, :before_id))
    order by r.recorded_at desc, r.id desc limit :limit
"""
# Inputs and results are read only of those that are open: of all others their newest event.
_OPEN = f"""
    with open as materialized (
        select e.run from {RISK_RUNS} as r
        join lateral (
            select * from {RISK_RUN_EVENTS} as own where own.run = r.id order by own.id desc limit 1
        ) as e on true
        where e.status = any(:open) order by e.id limit :limit
    )
    {_RUNS} where r.id in (select run from open) order by e.id
"""
# The event with which the bound was reached: until it is a day old, no other one is taken.
_ROOM_IN_S = f"""
    select extract(epoch from recorded_at + interval '1 day' - clock_timestamp()) as seconds
    from {RISK_RUN_EVENTS}
    where status = :status and said_by = '{Asker.API.value}' and recorded_at > statement_timestamp() - interval '1 day'
    order by recorded_at desc offset :bound - 1 limit 1
"""
_COURSE = f"select curve, trades from {RISK_RUN_RESULTS} where run = :id"


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run as it stands. `requested_at` is market time, the others wall time; `detail`: words about the status, such
    as why it failed; `summary`, `seconds` None until it is done."""

    id: str
    kind: RunKind
    inputs: Mapping[str, Any]
    input_hash: str
    data_hash: str
    code_hash: str
    environment_hash: str
    environment: Mapping[str, str]
    seed: int
    work: int
    requested_by: str
    requested_at: datetime
    data_mode: str
    recorded_at: datetime
    status: RunStatus
    detail: str | None
    said_by: str
    status_at: datetime
    seconds: float | None
    summary: Mapping[str, Any] | None


class Registry:
    """Runs of one market. Without `tell` it can only be read."""

    def __init__(self, ask: Ask, tell: Ask | None = None) -> None:
        self._ask, self._tell = ask, tell

    def find(self, run_id: str) -> StoredRun | None:
        return self.find_all([run_id]).get(run_id)

    def find_all(self, ids: Sequence[str]) -> dict[str, StoredRun]:
        """The runs that there are, by id."""
        return {row["id"]: _run(row) for row in self._ask(_FOUND, {"ids": list(ids)})}

    def page(
        self,
        kind: RunKind,
        limit: int,
        vault_id: str | None = None,
        status: RunStatus | None = None,
        before: tuple[datetime, str] | None = None,
    ) -> list[StoredRun]:
        """Newest first; `before`: (recorded_at, id) of the last run of the page before."""
        rows = self._ask(
            _PAGE,
            {
                "kind": kind.value, "vault_id": vault_id, "status": None if status is None else status.value,
                "before_at": before[0] if before else None, "before_id": before[1] if before else None, "limit": limit,
            },
        )  # fmt: skip
        return [_run(row) for row in rows]

    def open(self, limit: int, statuses: Sequence[RunStatus] = OPEN) -> list[StoredRun]:
        """Runs that wait or are computed, in the order in which they came to be."""
        return [_run(row) for row in self._ask(_OPEN, {"open": [s.value for s in statuses], "limit": limit})]

    def room_in_s(self, status: RunStatus, bound: int) -> float | None:
        """Seconds until the API may bring another run to this status, which `bound` (1 or more) reach in 24 hours of
        wall time; None: now."""
        rows = self._ask(_ROOM_IN_S, {"status": status.value, "bound": bound})
        return float(rows[0]["seconds"]) if rows else None

    def course(self, run_id: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Curve and trades of a run; empty where there is no result."""
        rows = self._ask(_COURSE, {"id": run_id})
        return (rows[0]["curve"], rows[0]["trades"]) if rows else ({}, {})

    def record(
        self,
        plan: Plan,
        status: RunStatus,
        by: Asker,
        requested_at: datetime,
        data_mode: str,
        outcome: Outcome | None = None,
        seconds: float | None = None,
        detail: str | None = None,
        run_id: str | None = None,
    ) -> bool:
        """Write a run, unless it is known, and what is to be said of it now, with its result: all or nothing.

        Returns whether the word was taken. Neither word nor result is kept where it may not follow what was said
        before, as `done` after `cancelled`: of two who say the same at once, one hears that he was first.
        """
        identity = plan.identity
        told = self._told(
            _RECORD,
            {
                "id": identity.id, "kind": plan.kind.value, "input_hash": identity.input_hash,
                "inputs": _json(plan.inputs), "data_hash": identity.data_hash, "code_hash": identity.code_hash,
                "environment_hash": identity.environment_hash, "environment": _json(identity.environment),
                "seed": plan.seed, "work": plan.work, "by": by.value, "requested_at": requested_at,
                "data_mode": data_mode, "summary": _json(outcome.summary) if outcome else None,
                "curve": _json(outcome.curve) if outcome else None,
                "trades": _json(outcome.trades) if outcome else None, "seconds": seconds, "status": status.value,
                "detail": detail, "run_id": run_id,
            },
        )  # fmt: skip
        return bool(told)

    def say(self, run: str, status: RunStatus, by: Asker, detail: str | None = None, run_id: str | None = None) -> bool:
        """An event of a run that is there, and whether it was taken: not where it may not follow what was said before,
        as anything after `done`. `run_id`: the Dagster run that says so."""
        said = {"id": run, "status": status.value, "detail": detail, "by": by.value, "run_id": run_id}
        return bool(self._told(_EVENT, said))

    def _told(self, statement: str, values: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        assert self._tell is not None, "this registry was opened for reading"
        return self._tell(statement, values)


def _json(value: object) -> str:
    return json.dumps(value, allow_nan=False)


def _run(row: Mapping[str, Any]) -> StoredRun:
    values = {name: row[name] for name in StoredRun.__slots__}
    return StoredRun(**values | {"kind": RunKind(row["kind"]), "status": RunStatus(row["status"])})
