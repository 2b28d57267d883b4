"""The desk that takes runs: reads a strict body, finds the run that is there, computes a small one, queues a large one.

Knows no kind of run: `models.runs.kinds` does. A new endpoint that takes runs is a route of a few lines.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

from fastapi import Request

from models.backtest.plain import as_plain
from models.contracts.runs import OPEN, Asker, RunKind, RunStatus
from models.runs.bounds import LARGE_RUNS_A_DAY, MAX_BODY_BYTES, MAX_OPEN, SMALL_RUNS_A_DAY
from models.runs.fields import shown
from models.runs.kinds import KINDS
from models.runs.plan import NotEnough, Plan, RequestError, unwatched
from models.runs.registry import StoredRun
from serving.errors import Problem
from serving.schemas import Market
from serving.settings import LARGE_VARIABLE, SMALL_VARIABLE
from serving.store import Store

_WAIT_S = 1.0  # for the one run that is computed: then the next is queued rather than kept waiting
_WAIT_FOR_EQUAL_S = 30.0  # for a run that is the same: it takes a few seconds, and is the answer
_MOST_WAITING = 8  # requests that wait so: the other threads answer everything else meanwhile
_RETRY_S = 60  # until one of the runs that wait may be done


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
    """One of a process. Computes one run at a time, so that scores are served beside it.

    That a run is taken once is the database's word: of several desks that ask for the same at once, one is the first.
    """

    def __init__(
        self,
        at_once: int | None = None,
        large_a_day: int = LARGE_RUNS_A_DAY,
        small_a_day: int = SMALL_RUNS_A_DAY,
    ) -> None:
        """`at_once`: work up to which a request is answered at once; None = what its kind says. `large_a_day`: runs
        that are left to the job in 24 hours; `small_a_day`: that are computed here."""
        self._at_once, self._large_a_day, self._small_a_day = at_once, large_a_day, small_a_day
        self._computing, self._queueing = threading.Lock(), threading.Lock()
        self._waiting = threading.BoundedSemaphore(_MOST_WAITING)
        self._computed: str | None = None  # id of the run that is computed now

    def take(self, kind: RunKind, body: object, store: Store, market: Market) -> Taken:
        """The run of a request: found, computed or queued. Raises Problem, with the field or limit and the way out."""
        plan = _planned(kind, body, store)
        name = plan.identity.id
        if (found := _standing(name, store)) is not None:
            return Taken(found, True)
        at_once = KINDS[kind].at_once if self._at_once is None else self._at_once
        if plan.work <= at_once and self._is_its_turn(name):
            try:
                self._computed = name
                is_first = self._compute(plan, store, market)
            finally:
                self._computed = None
                self._computing.release()
        else:
            with self._queueing:
                is_first = self._queue(plan, store, market)
        made = store.runs.find(name)
        assert made is not None  # it was recorded above, or by another
        return Taken(made, not is_first)

    def _is_its_turn(self, name: str) -> bool:
        """Whether this request may compute: it waits a moment for another run, for an equal one until it is done."""
        if self._computing.acquire(timeout=_WAIT_S):
            return True
        if self._computed != name or not self._waiting.acquire(blocking=False):
            return False
        try:
            return self._computing.acquire(timeout=_WAIT_FOR_EQUAL_S)
        finally:
            self._waiting.release()

    def _compute(self, plan: Plan, store: Store, market: Market) -> bool:
        """Compute and store a run, unless an equal request was answered meanwhile; whether this one was the first."""
        name = plan.identity.id
        if _standing(name, store) is not None:
            return False
        if (room_in_s := store.runs.room_in_s(RunStatus.DONE, self._small_a_day)) is not None:
            raise _full("small_runs_a_day", self._small_a_day, "runs are answered at once", room_in_s, SMALL_VARIABLE)
        began = time.monotonic()
        with _refusals():
            outcome = plan.compute(unwatched)
        seconds = time.monotonic() - began
        if (found := store.runs.find(name)) is not None and found.status is RunStatus.CANCELLED:
            store.runs.say(name, RunStatus.QUEUED, Asker.API)  # asked for again
        return store.runs.record(plan, RunStatus.DONE, Asker.API, market.time, market.data_mode, outcome, seconds)

    def _queue(self, plan: Plan, store: Store, market: Market) -> bool:
        """Leave a run to the job, unless it waits or is done meanwhile; whether this request was the first."""
        if _standing(plan.identity.id, store) is not None:
            return False
        if len(store.runs.open(MAX_OPEN)) >= MAX_OPEN:
            raise Problem(
                429, "too_many_runs", "Too many runs are waiting",
                f"open_runs: {MAX_OPEN} runs may wait or be computed, and so many do; ask again when one is done, or "
                "make it smaller.",
                {"limit": "open_runs", "most": MAX_OPEN}, retry_after_s=_RETRY_S,
            )  # fmt: skip
        if (room_in_s := store.runs.room_in_s(RunStatus.QUEUED, self._large_a_day)) is not None:
            raise _full("large_runs_a_day", self._large_a_day, "runs are left to the job", room_in_s, LARGE_VARIABLE)
        return store.runs.record(plan, RunStatus.QUEUED, Asker.API, market.time, market.data_mode)


def _standing(name: str, store: Store) -> StoredRun | None:
    """The run, if it is done, waits or is computed: then it need not be asked for again."""
    found = store.runs.find(name)
    return found if found is not None and found.status in (*OPEN, RunStatus.DONE) else None


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


def _full(limit: str, most: int, what: str, room_in_s: float, variable: str) -> Problem:
    """A bound of a day that is reached."""
    wait_s = max(1, math.ceil(room_in_s))
    return Problem(
        429, "too_many_runs", "Too many runs in a day",
        f"{limit}: {most} {what} in 24 hours, and so many were; there is room again in {wait_s} seconds. Runs that are "
        f"there are answered all the same, and the command line has no such bound; {variable} sets it.",
        {"limit": limit, "most": most}, retry_after_s=wait_s,
    )  # fmt: skip
