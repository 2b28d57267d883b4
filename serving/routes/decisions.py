"""What the keeper decided and did, and what vaults are to hold and held. Tables only: nothing here asks a chain."""

from __future__ import annotations

import base64
import binascii
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request

from models.access.keys import Scope
from models.decisions.pages import Before
from serving.access.scopes import needs
from serving.decision_schemas import (
    Allocation,
    AllocationCurrent,
    AllocationPage,
    DecisionLine,
    DecisionPage,
    DecisionTrail,
    SnapshotPage,
    TargetAllocation,
    Transaction,
    TransactionPage,
    VaultSnapshot,
    Verdict,
)
from serving.dependencies import MarketDep, StoreDep
from serving.errors import Problem
from serving.routes.risk import Moment
from serving.routes.runs import problem
from serving.store import Store

_MAX_PAGE = 500
_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_HASH = "[0-9a-f]{64}"
_NUMBER = "[0-9]{1,18}"
EnvelopeState = Literal["signing", "signed", "void", "submitted", "confirmed", "failed", "expired", "unknown"]

VaultId = Annotated[str | None, Query(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="One vault; all if unset")]
Since = Annotated[Moment | None, Query(alias="from", description="Market time, at or after; ISO 8601 with zone")]
Until = Annotated[Moment | None, Query(alias="to", description="Market time, before; ISO 8601 with zone")]
Limit = Annotated[int, Query(ge=1, le=_MAX_PAGE)]
Cursor = Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before")]


def only_known(request: Request) -> None:
    """Refuse a parameter that the path does not have, or one that is given twice: else a misspelt filter filters
    nothing."""
    known = sorted(parameter.alias for parameter in request.scope["route"].dependant.query_params)
    for name, times in Counter(name for name, _ in request.query_params.multi_items()).items():
        if name not in known:
            why = f"{name!a} is no parameter of this path; there is: {', '.join(known) or 'none'}"
        elif times > 1:
            why = f"{name}: is given more than once"
        else:
            continue
        raise Problem(422, "invalid_parameter", "A parameter is not valid", why, field=name)


router = APIRouter(tags=["vault"], dependencies=[needs(Scope.READ), Depends(only_known)])


def _problems(path: str, code: str, what: str) -> dict[int | str, dict[str, Any]]:
    return {
        404: problem(404, code, what, path),
        422: problem(422, "invalid_parameter", "A parameter is not valid", path),
        503: problem(503, "database_unavailable", "The database cannot be read", path),
    }


def _check(store: Store, vault_id: str | None, since: datetime | None = None, until: datetime | None = None) -> None:
    if since is not None and until is not None and since >= until:
        raise Problem(422, "invalid_parameter", "A parameter is not valid", "from: must be before `to`", field="from")
    known = store.pages.vaults() if vault_id is not None else []
    if vault_id is not None and vault_id not in known:
        raise Problem(
            404, "unknown_vault", "Unknown vault",
            f"vault_id: there is no vault {vault_id!r}; there is: {', '.join(known) or 'none yet'}.", field="vault_id",
        )  # fmt: skip


def _before(cursor: str | None, key: str) -> Before | None:
    if cursor is None:
        return None
    try:
        stamp, _, told = base64.b64decode(cursor, altchars=b"-_", validate=True).decode().partition("|")
        moment = datetime.fromisoformat(stamp)
        if moment.tzinfo is None or not re.fullmatch(key, told):
            raise ValueError("not a cursor of ours")
    except (ValueError, binascii.Error) as error:
        raise Problem(
            422, "invalid_parameter", "A parameter is not valid",
            "cursor: not one that this API gave out for this path; leave it out to start at the newest.",
            field="cursor",
        ) from error  # fmt: skip
    return Before(moment, told)


def _next(rows: Sequence[Mapping[str, Any]], limit: int, at: str, key: str) -> str | None:
    """Cursor after a page of `limit` rows; one more row was asked for to know whether there is another page."""
    if len(rows) <= limit:
        return None
    last = rows[limit - 1]
    return base64.urlsafe_b64encode(f"{last[at].isoformat()}|{last[key]}".encode()).decode()


@router.get("/decisions", responses=_problems("/decisions", "unknown_vault", "There is no such vault"))
def decisions(
    store: StoreDep,
    market: MarketDep,
    vault_id: VaultId = None,
    verdict: Annotated[Verdict | None, Query(description="All if unset")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> DecisionPage:
    """Ticks of the keeper, acted or not, newest market time first, page by page."""
    _check(store, vault_id, since, until)
    rows = store.pages.decisions(vault_id, verdict, since, until, _before(cursor, _UUID), limit + 1)
    return DecisionPage(
        market=market, decisions=[DecisionLine(**row) for row in rows[:limit]],
        next_cursor=_next(rows, limit, "market_time", "id"),
    )  # fmt: skip


@router.get("/decisions/{id}", responses=_problems("/decisions/x", "unknown_decision", "There is no such decision"))
def decision(
    store: StoreDep,
    market: MarketDep,
    id: Annotated[
        str, Path(pattern=f"^({_UUID}|{_HASH})$", description="Id of a decision, or hash of one of its transactions")
    ],
) -> DecisionTrail:
    """One decision, from its transaction back to the raw rows with both clocks."""
    found = store.trails.decision_id(id)
    if found is None:
        raise Problem(
            404, "unknown_decision", "Unknown decision",
            f"id: no decision and no transaction is called {id}; /v1/decisions lists them.", field="id",
        )  # fmt: skip
    return DecisionTrail(market=market, **store.trails.of(found))


@router.get("/transactions", responses=_problems("/transactions", "unknown_vault", "There is no such vault"))
def transactions(
    store: StoreDep,
    market: MarketDep,
    vault_id: VaultId = None,
    state: Annotated[EnvelopeState | None, Query(description="All if unset")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> TransactionPage:
    """Envelopes of the keeper in the order they were made, newest first, page by page."""
    _check(store, vault_id, since, until)
    rows = store.pages.transactions(vault_id, state, since, until, _before(cursor, _HASH), limit + 1)
    return TransactionPage(
        market=market, transactions=[Transaction(**row) for row in rows[:limit]],
        next_cursor=_next(rows, limit, "created_at", "tx_hash"),
    )  # fmt: skip


@router.get(
    "/transactions/{hash}",
    responses=_problems("/transactions/x", "unknown_transaction", "There is no such transaction"),
)
def transaction(
    store: StoreDep,
    hash: Annotated[str, Path(pattern=f"^{_HASH}$", description="Hash of the transaction, hex")],
) -> Transaction:
    """One envelope; `/v1/decisions/{hash}` says why it was made."""
    row = store.pages.transaction(hash)
    if row is None:
        raise Problem(
            404, "unknown_transaction", "Unknown transaction",
            f"hash: no envelope of the keeper has the hash {hash}; /v1/transactions lists them.", field="hash",
        )  # fmt: skip
    return Transaction(**row)


@router.get("/vault/snapshots", responses=_problems("/vault/snapshots", "unknown_vault", "There is no such vault"))
def vault_snapshots(
    store: StoreDep,
    market: MarketDep,
    vault_id: VaultId = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> SnapshotPage:
    """What vaults held, as read from their chains, newest first, page by page."""
    _check(store, vault_id, since, until)
    rows = store.pages.snapshots(vault_id, since, until, _before(cursor, _NUMBER), limit + 1)
    return SnapshotPage(
        market=market, snapshots=[VaultSnapshot(**row) for row in rows[:limit]],
        next_cursor=_next(rows, limit, "ts", "seq"),
    )  # fmt: skip


@router.get(
    "/allocation/current", responses=_problems("/allocation/current", "unknown_vault", "There is no such vault")
)
def allocation_current(store: StoreDep, market: MarketDep, vault_id: VaultId = None) -> AllocationCurrent:
    """Newest target of each vault beside what it held last. A target that has expired says so; nothing acts on it."""
    _check(store, vault_id)
    rows = store.pages.current(vault_id)
    found = [Allocation(**row, stale=market.time > row["valid_until"]) for row in rows]
    return AllocationCurrent(market=market, allocations=found)


@router.get(
    "/allocation/history", responses=_problems("/allocation/history", "unknown_vault", "There is no such vault")
)
def allocation_history(
    store: StoreDep,
    market: MarketDep,
    vault_id: VaultId = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> AllocationPage:
    """Targets as they were issued, newest first, page by page. Nothing is ever rewritten."""
    _check(store, vault_id, since, until)
    rows = store.pages.targets(vault_id, since, until, _before(cursor, _NUMBER), limit + 1)
    return AllocationPage(
        market=market, targets=[TargetAllocation(**row) for row in rows[:limit]],
        next_cursor=_next(rows, limit, "issued_at", "id"),
    )  # fmt: skip
