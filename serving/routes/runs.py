"""The endpoints of a kind of run: ask for one, list them, fetch one, put several side by side."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from models.access.keys import Scope
from models.contracts.runs import OPEN, RunKind, RunStatus
from models.runs.fields import schema_of
from models.runs.kinds import KINDS
from models.runs.registry import StoredRun
from serving.access.scopes import needs
from serving.dependencies import BodyDep, DeskDep, MarketDep, StoreDep
from serving.errors import PROBLEM_JSON, Problem
from serving.run_schemas import PATHS, Run, RunComparison, RunPage, answer_of, comparison_of, line_of, status_url
from serving.schemas import ProblemDetail

_MAX_PAGE = 100
_MAX_COMPARED = 6
_RETRY_S = 5
_INCLUDE = "^(curve|trades|curve,trades|trades,curve)$"


@dataclass(frozen=True, slots=True)
class Offer:
    """How a kind of run is offered. `asked`: path of the POST; `about`: what it answers; `example`: a body."""

    kind: RunKind
    asked: str
    about: str
    example: Mapping[str, Any]

    @property
    def kept(self) -> str:
        """Path under which runs are listed and found."""
        return f"/{PATHS[self.kind]}"

    @property
    def noun(self) -> str:
        return self.kind.value


def problem(status: int, code: str, description: str, instance: str) -> dict[str, Any]:
    """A refusal in the API's document."""
    example = {
        "type": f"urn:ballast:problem:{code}", "title": description, "status": status, "detail": description,
        "code": code, "instance": f"/v1{instance}", "request_id": "3f0c9b6a3c7e4c0f8f2d8f6f1f0b9e55",
    }  # fmt: skip
    return {"model": ProblemDetail, "description": description, "content": {PROBLEM_JSON: {"example": example}}}


def add_endpoints(router: APIRouter, offer: Offer) -> None:
    """The four endpoints of one kind of run."""

    def told(status: int, code: str, description: str) -> dict[int | str, dict[str, Any]]:
        return {status: problem(status, code, description, offer.asked)}

    away = told(503, "database_unavailable", "The database cannot be read")
    read = told(422, "invalid_parameter", "A parameter is not valid") | away
    found_or_not = told(404, "unknown_run", "There is no such run") | read
    asked: dict[int | str, dict[str, Any]] = {
        202: {"model": Run, "description": "Queued: `status_url` says how far it is"},
        **told(400, "query_not_allowed", "Query parameters, or a body that is no JSON object"),
        **told(413, "body_not_json", "The body is too long"),
        **told(415, "body_not_json", "The content type is not application/json"),
        **told(422, "insufficient_data", "A field is not valid, or the data do not answer the question"),
        **told(429, "too_many_runs", "As many runs wait, or were taken in a day, as may: `limit` says which bound"),
        **away,
    }
    schema = {"schema": schema_of(KINDS[offer.kind].request), "example": offer.example}

    @router.post(
        offer.asked,
        name=f"Run {offer.noun}",
        description=f"{offer.about} A small run is answered at once, a large one with 202 and a status URL; a run that "
        "was made is not made again.",
        dependencies=[needs(Scope.SIMULATE)],
        responses=asked,
        openapi_extra={"requestBody": {"required": True, "content": {"application/json": schema}}},
    )
    def take(body: BodyDep, desk: DeskDep, store: StoreDep, market: MarketDep, response: Response) -> Run:
        taken = desk.take(offer.kind, body, store, market)
        response.headers["Location"] = status_url(taken.run)
        if taken.run.status in OPEN:
            response.status_code = 202
            response.headers["Retry-After"] = str(_RETRY_S)
        return answer_of(taken.run, taken.is_cached)

    @router.get(
        offer.kept,
        name=f"{offer.noun.capitalize()}s",
        description=f"{offer.noun.capitalize()}s that were asked for, newest first, page by page.",
        dependencies=[needs(Scope.READ)],
        responses=read,
    )
    def listed(
        store: StoreDep,
        market: MarketDep,
        vault_id: Annotated[
            str | None, Query(pattern=r"^[a-z][a-z0-9_-]{0,31}$", description="Only of this vault")
        ] = None,
        status: Annotated[RunStatus | None, Query(description="Only runs that are so far")] = None,
        limit: Annotated[int, Query(ge=1, le=_MAX_PAGE)] = 20,
        cursor: Annotated[str | None, Query(max_length=200)] = None,
    ) -> RunPage:
        before = _decode_cursor(cursor) if cursor else None
        runs = store.runs.page(offer.kind, limit + 1, vault_id, status, before)
        page = runs[:limit]
        return RunPage(
            market=market, runs=[line_of(run) for run in page],
            next_cursor=_encode_cursor(page[-1]) if len(runs) > limit else None,
        )  # fmt: skip

    @router.get(
        f"{offer.kept}/compare",
        name=f"Compare {offer.noun}s",
        description=f"Figures of several {offer.noun}s side by side, and in what they differ.",
        dependencies=[needs(Scope.READ)],
        responses=found_or_not,
    )
    def compared(
        store: StoreDep,
        ids: Annotated[str, Query(max_length=400, description=f"2 to {_MAX_COMPARED} ids, separated by commas")],
    ) -> RunComparison:
        wanted = list(dict.fromkeys(part.strip() for part in ids.split(",") if part.strip()))
        if not 2 <= len(wanted) <= _MAX_COMPARED:
            raise Problem(
                422, "invalid_parameter", "A parameter is not valid",
                f"ids: name 2 to {_MAX_COMPARED} different runs, separated by commas; /v1{offer.kept} lists them.",
                field="ids",
            )  # fmt: skip
        known = store.runs.find_all([name for name in wanted if "\0" not in name])
        runs = [known[name] for name in wanted if name in known and known[name].kind is offer.kind]
        if len(runs) < len(wanted):
            raise _unknown(offer, "ids", next(n for n in wanted if n not in {run.id for run in runs}))
        return comparison_of(runs)

    @router.get(
        f"{offer.kept}/{{id}}",
        name=offer.noun.capitalize(),
        description=f"One {offer.noun}: how far it is, what it rests on, what came out.",
        dependencies=[needs(Scope.READ)],
        responses=found_or_not,
    )
    def one(
        store: StoreDep,
        id: Annotated[
            str, Path(pattern=rf"^{offer.noun}-[0-9a-f]{{16}}$", description="As given by the answer that took the run")
        ],
        include: Annotated[
            str | None, Query(pattern=_INCLUDE, description="`curve`, `trades` or both, separated by a comma")
        ] = None,
    ) -> Run:
        run = store.runs.find(id)
        if run is None:
            raise _unknown(offer, "id", id)
        curve, trades = store.runs.course(id) if include else (None, None)
        parts = (include or "").split(",")
        return answer_of(run, True, curve if "curve" in parts else None, trades if "trades" in parts else None)


def _unknown(offer: Offer, field: str, name: str) -> Problem:
    return Problem(
        404, "unknown_run", "Unknown run",
        f"{field}: there is no {offer.noun} {name!a}; /v1{offer.kept} lists them.", field=field,
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
