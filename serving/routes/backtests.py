"""Backtests: ask for one, list them, fetch one, put several side by side."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from models.backtest.request import REQUEST
from models.contracts.runs import OPEN, RunKind, RunStatus
from models.runs.fields import schema_of
from models.runs.registry import StoredRun
from serving.dependencies import BodyDep, DeskDep, MarketDep, StoreDep
from serving.errors import PROBLEM_JSON, Problem
from serving.run_schemas import Run, RunComparison, RunPage, answer_of, comparison_of, line_of, status_url
from serving.schemas import ProblemDetail

router = APIRouter(tags=["backtests"])

_ID = r"^backtest-[0-9a-f]{16}$"
_MAX_PAGE = 100
_MAX_COMPARED = 6
_RETRY_S = 5
_EXAMPLE = {"vault_id": "mixed", "policies": ["onoff"], "start": "2024-03-01", "limits": {"dead_zone": 0.1}}


def _problem(status: int, code: str, description: str) -> dict[str, Any]:
    example = {
        "type": f"urn:ballast:problem:{code}", "title": description, "status": status, "detail": description,
        "code": code, "instance": "/v1/backtest/run", "request_id": "3f0c9b6a3c7e4c0f8f2d8f6f1f0b9e55",
    }  # fmt: skip
    return {"model": ProblemDetail, "description": description, "content": {PROBLEM_JSON: {"example": example}}}


_AWAY: dict[int | str, dict[str, Any]] = {
    503: _problem(503, "database_unavailable", "The database cannot be read, or too many runs wait")
}
_ASKED: dict[int | str, dict[str, Any]] = {
    202: {"model": Run, "description": "Queued: `status_url` says how far it is"},
    400: _problem(400, "query_not_allowed", "Query parameters, or a body that is no JSON object"),
    413: _problem(413, "body_not_json", "The body is too long"),
    415: _problem(415, "body_not_json", "The content type is not application/json"),
    422: _problem(422, "insufficient_data", "A field is not valid, or the data do not answer the question"),
    **_AWAY,
}
_READ: dict[int | str, dict[str, Any]] = {422: _problem(422, "invalid_parameter", "A parameter is not valid"), **_AWAY}
_FOUND: dict[int | str, dict[str, Any]] = {404: _problem(404, "unknown_run", "There is no such run"), **_READ}


@router.post(
    "/backtest/run",
    responses=_ASKED,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema_of(REQUEST), "example": _EXAMPLE}},
        }
    },
)
def run_backtest(body: BodyDep, desk: DeskDep, store: StoreDep, market: MarketDep, response: Response) -> Run:
    """What a vault would have done and earned. A small run is answered at once, a large one with 202 and a status URL;
    a run that was made is not made again."""
    taken = desk.take(RunKind.BACKTEST, body, store, market)
    response.headers["Location"] = status_url(taken.run)
    if taken.run.status in OPEN:
        response.status_code = 202
        response.headers["Retry-After"] = str(_RETRY_S)
    return answer_of(taken.run, taken.is_cached)


@router.get("/backtests", responses=_READ)
def backtests(
    store: StoreDep,
    market: MarketDep,
    vault_id: Annotated[str | None, Query(pattern=r"^[a-z][a-z0-9_-]{0,31}$", description="Only of this vault")] = None,
    status: Annotated[RunStatus | None, Query(description="Only runs that are so far")] = None,
    limit: Annotated[int, Query(ge=1, le=_MAX_PAGE)] = 20,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> RunPage:
    """Backtests that were asked for, newest first, page by page."""
    before = _decode_cursor(cursor) if cursor else None
    runs = store.runs.page(RunKind.BACKTEST, limit + 1, vault_id, status, before)
    page = runs[:limit]
    return RunPage(
        market=market, runs=[line_of(run) for run in page],
        next_cursor=_encode_cursor(page[-1]) if len(runs) > limit else None,
    )  # fmt: skip


@router.get("/backtests/compare", responses=_FOUND)
def compare_backtests(
    store: StoreDep,
    ids: Annotated[str, Query(max_length=400, description=f"2 to {_MAX_COMPARED} ids, separated by commas")],
) -> RunComparison:
    """Figures of several backtests side by side, and in what they differ."""
    wanted = list(dict.fromkeys(part.strip() for part in ids.split(",") if part.strip()))
    if not 2 <= len(wanted) <= _MAX_COMPARED:
        raise Problem(
            422, "invalid_parameter", "A parameter is not valid",
            f"ids: name 2 to {_MAX_COMPARED} different runs, separated by commas; /v1/backtests lists them.",
            field="ids",
        )  # fmt: skip
    found = store.runs.find_all([name for name in wanted if "\0" not in name])
    runs = [found[name] for name in wanted if name in found and found[name].kind is RunKind.BACKTEST]
    if len(runs) < len(wanted):
        raise _unknown("ids", next(n for n in wanted if n not in {run.id for run in runs}))
    return comparison_of(runs)


@router.get("/backtests/{id}", responses=_FOUND)
def backtest(
    store: StoreDep,
    id: Annotated[str, Path(pattern=_ID, description="As given by the answer that took the run")],
    include: Annotated[str | None, Query(pattern="^(curve|trades|curve,trades|trades,curve)$",
                                         description="`curve`, `trades` or both, separated by a comma")] = None,
) -> Run:  # fmt: skip
    """One backtest: how far it is, what it rests on, what came out."""
    run = store.runs.find(id)
    if run is None:
        raise _unknown("id", id)
    curve, trades = store.runs.course(id) if include else (None, None)
    parts = (include or "").split(",")
    return answer_of(run, True, curve if "curve" in parts else None, trades if "trades" in parts else None)


def _unknown(field: str, name: str) -> Problem:
    return Problem(
        404, "unknown_run", "Unknown run", f"{field}: there is no backtest {name!a}; /v1/backtests lists them.",
        field=field,
    )  # fmt: skip


def _encode_cursor(run: StoredRun) -> str:
    return base64.urlsafe_b64encode(f"{run.recorded_at.isoformat()}|{run.id}".encode()).decode()


def _decode_cursor(cursor: str) -> tuple[datetime, str]:
    try:
        stamp, _, identity = base64.urlsafe_b64decode(cursor.encode()).decode().partition("|")
        moment = datetime.fromisoformat(stamp)
        if moment.tzinfo is None or not identity or "\0" in identity:
            raise ValueError("not a cursor of ours")
    except (ValueError, binascii.Error) as error:
        raise Problem(
            422, "invalid_parameter", "A parameter is not valid",
            "cursor: not one that this API gave out; leave it out to start at the newest run.", field="cursor",
        ) from error  # fmt: skip
    return moment, identity
