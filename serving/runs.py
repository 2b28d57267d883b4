"""The desk that takes runs: reads a strict body, finds the run that is there, computes a small one, queues a large one.

Knows no kind of run: `models.runs.kinds` does. A new endpoint that takes runs is a route of a few lines.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

from fastapi import Request

from models.backtest.plain import as_plain
from models.contracts.runs import OPEN, Asker, RunKind, RunStatus
from models.runs.bounds import MAX_BODY_BYTES, MAX_OPEN
from models.runs.fields import shown
from models.runs.kinds import KINDS
from models.runs.plan import NotEnough, Plan, RequestError, unwatched
from models.runs.registry import StoredRun
from serving.errors import Problem
from serving.schemas import Market
from serving.store import Store

_WAIT_S = 1.0  # for the one run that is computed: then the next is queued rather than kept waiting


async def read_body(request: Request) -> Any:
    """The JSON body of a POST, with the mistakes refused that a parser forgives. Raises Problem."""
    if request.query_params:
        name = shown(next(iter(request.query_params)))[1:-1]
        raise Problem(
            400, "query_not_allowed", "Parameters belong into the body",
            f"{name}: query parameters are not read here; send a JSON object in the body with this field in it.",
            field=name,
        )  # fmt: skip
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        _refuse(415, "the content type must be application/json")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            _refuse(413, f"it is longer than {MAX_BODY_BYTES} bytes; no request needs more")
    try:
        return json.loads(bytes(body).decode(), object_pairs_hook=_distinct, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        said = str(error) if isinstance(error, _Mistake) else "send one JSON object in UTF-8"
        _refuse(400, said)


class _Mistake(ValueError):
    """What a JSON parser would pass over."""


def _distinct(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Mistake("a field is given twice; send it once")
    return found


def _no_constant(name: str) -> NoReturn:
    raise _Mistake(f"{name} is no number of JSON; leave the field out instead")


def _refuse(status: int, why: str) -> NoReturn:
    raise Problem(status, "body_not_json", "The body cannot be read", f"body: {why}.", field="body")


@dataclass(frozen=True, slots=True)
class Taken:
    """A run and whether it was there before it was asked for."""

    run: StoredRun
    is_cached: bool


class Desk:
    """One of a process. Computes one run at a time, so that scores are served beside it."""

    def __init__(self, at_once: int | None = None) -> None:
        """`at_once`: work up to which a request is answered at once; None = what its kind says."""
        self._at_once, self._computing = at_once, threading.Lock()

    def take(self, kind: RunKind, body: object, store: Store, market: Market) -> Taken:
        """The run of a request: found, computed or queued. Raises Problem, with the field and the way out."""
        plan = _planned(kind, body, store)
        found = store.runs.find(plan.identity.id)
        if found is not None and (found.status is RunStatus.DONE or found.status in OPEN):
            return Taken(found, True)
        at_once = KINDS[kind].at_once if self._at_once is None else self._at_once
        if plan.work <= at_once and self._computing.acquire(timeout=_WAIT_S):
            try:
                _compute(plan, store, market)
            finally:
                self._computing.release()
        else:
            _queue(plan, store, market)
        made = store.runs.find(plan.identity.id)
        assert made is not None  # it was recorded above
        return Taken(made, False)


def _planned(kind: RunKind, body: object, store: Store) -> Plan:
    with _refusals():
        return KINDS[kind].plan(body, store.data)


@contextmanager
def _refusals() -> Iterator[None]:
    """What a request cannot have, told as a problem."""
    try:
        yield
    except NotEnough as error:
        shortage: Mapping[str, Any] = as_plain(error.shortage)
        title = "There is not enough data for this question"
        raise Problem(422, "insufficient_data", title, str(error), shortage_of(shortage), field=error.field) from error
    except RequestError as error:
        raise Problem(422, "invalid_parameter", "A field is not valid", str(error), field=error.field) from error


def shortage_of(shortage: Mapping[str, Any]) -> dict[str, Any]:
    """A shortage beside the fields that every problem has."""
    return {name: value for name, value in shortage.items() if name != "status"}


def _compute(plan: Plan, store: Store, market: Market) -> None:
    began = time.monotonic()
    with _refusals():
        outcome = plan.compute(unwatched)
    seconds = time.monotonic() - began
    store.runs.record(plan, RunStatus.DONE, Asker.API, market.time, market.data_mode, outcome, seconds)


def _queue(plan: Plan, store: Store, market: Market) -> None:
    if len(store.runs.open(MAX_OPEN)) >= MAX_OPEN:
        raise Problem(
            503, "queue_full", "Too many runs are waiting",
            f"{MAX_OPEN} runs wait already; ask again when one of them is done, or make it smaller.",
            retry_after_s=60,
        )  # fmt: skip
    store.runs.record(plan, RunStatus.QUEUED, Asker.API, market.time, market.data_mode)
