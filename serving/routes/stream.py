"""New scores, decisions and alerts as they come, so that nobody has to ask each second."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import Response

from models.access.keys import Scope
from models.events.feed import TYPES
from serving.access.scopes import needs
from serving.errors import Problem
from serving.routes.decisions import only_known
from serving.routes.runs import problem
from serving.stream.hub import Hub, TooManyReaders
from serving.stream.reader import Wanted
from serving.stream.response import EventStream

router = APIRouter(tags=["stream"], dependencies=[needs(Scope.READ), Depends(only_known)])

_RETRY_S = 15
_TYPE = f"({'|'.join(TYPES)})"
_SERIES = "[A-Za-z0-9_.:/-]{1,100}"
_EXAMPLE = (
    "event: score\nid: 1042-77-12\n"
    'data: {"id":"score-1042","type":"score","series":"BTC","at":"2026-01-01T00:02:11+00:00","horizon_days":1,'
    '"as_of":"2026-01-01T00:00:00+00:00","score":62.4,"status":"ok",'
    '"changed":{"score":{"from":58.1,"to":62.4}},"link":"/v1/risk/current?subject=BTC&horizon_days=1"}\n\n'
)
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events `score`, `decision` and `alert`; `reset` where Last-Event-ID is too old. Never ends.",
        "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}},
    },
    422: problem(422, "invalid_parameter", "A parameter is not valid", "/stream"),
    503: problem(503, "too_many_streams", "As many streams are open as may, or the database is away", "/stream"),
}


@router.get("/stream", response_class=Response, responses=_ANSWERS)
async def stream(
    request: Request,
    types: Annotated[
        str, Query(pattern=f"^{_TYPE}(,{_TYPE}){{0,2}}$", description="Of score, decision, alert; all if unset")
    ] = ",".join(TYPES),
    series: Annotated[
        str | None,
        Query(
            pattern=f"^{_SERIES}(,{_SERIES}){{0,49}}$",
            description="Series, `vault:<id>` and scopes of alerts, separated by commas; all if unset",
        ),
    ] = None,
    last_event_id: Annotated[
        str | None, Header(max_length=100, description="Id of the last event that was read; it goes on after that")
    ] = None,
) -> Response:
    """Server-Sent Events. After a break the client names the last id it read and misses nothing, as long as that event
    is among the newest 2,000; else `reset` says to read /v1/risk/current first."""
    hub = request.app.state.hub
    assert isinstance(hub, Hub)
    wanted = Wanted(
        frozenset(type_ for type_ in TYPES if type_ in types.split(",")), frozenset(series.split(",") if series else ())
    )
    try:
        reader = await hub.subscribe(wanted, last_event_id)
    except TooManyReaders:
        raise Problem(
            503, "too_many_streams", "As many streams are open as may",
            "Close one of yours, or try again shortly; BALLAST_SERVING_STREAMS sets how many there may be.",
            retry_after_s=_RETRY_S,
        ) from None  # fmt: skip
    return EventStream(hub, reader, request.app.state.heartbeat_s)
