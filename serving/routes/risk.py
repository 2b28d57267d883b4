"""Risk scores: the newest ones and their history."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AwareDatetime, BeforeValidator
from sqlalchemy.engine import RowMapping

from models.access.keys import Scope
from serving.access.scopes import needs
from serving.degradation import Degradation
from serving.dependencies import AnswersDep, MarketDep, StoreDep
from serving.errors import PROBLEM_JSON, Problem
from serving.ladder import of_all, of_score
from serving.remembered import Remembered
from serving.schemas import Market, ProblemDetail, RiskCurrent, RiskHistory, Score
from serving.store import Store

router = APIRouter(tags=["risk"], dependencies=[needs(Scope.READ)])


def problem_example(description: str, code: str, status: int) -> dict[str, Any]:
    example = {
        "type": f"urn:ballast:problem:{code}", "title": description, "status": status, "detail": description,
        "code": code, "instance": "/v1/risk/current", "request_id": "3f0c9b6a3c7e4c0f8f2d8f6f1f0b9e55",
    }  # fmt: skip
    return {
        "model": ProblemDetail,
        "description": description,
        "content": {PROBLEM_JSON: {"example": example}},
    }


_PROBLEMS: dict[int | str, dict[str, Any]] = {
    404: problem_example("No score was ever made for this subject and horizon", "unknown_subject", 404),
    422: problem_example("A parameter is not valid", "invalid_parameter", 422),
    503: problem_example("The score has expired or cannot be read; `last_known` is marked stale", "score_expired", 503),
}
_MAX_PAGE = 1000
SUBJECT = "Series id or `vault:<id>`"
SUBJECT_FORM = r"^[A-Za-z0-9_.:/-]{1,100}$"


def _written_out(value: Any) -> Any:
    """A bare number would be read as seconds since 1970, so that `from=2026` asked for everything."""
    if isinstance(value, str) and value.strip().lstrip("+-").replace(".", "", 1).isdigit():
        raise ValueError("must be an ISO 8601 time with zone, like 2026-01-01T00:00:00Z")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out)]


async def get_remembered(request: Request) -> Remembered:
    remembered = request.app.state.remembered
    assert isinstance(remembered, Remembered)
    return remembered


def _score(row: Mapping[Any, Any], market_time: datetime, degradation: Degradation | None = None) -> Score:
    values = dict(row)
    return Score(
        **{name: values[name] for name in Score.model_fields if name in values and name not in ("stale", "age_s")},
        stale=market_time > values["valid_until"],
        age_s=max(0, int((market_time - values["as_of"]).total_seconds())),
        degradation=degradation,
    )


@router.get("/risk/current", responses=_PROBLEMS, response_model=RiskCurrent)
async def risk_current(
    store: StoreDep,
    remembered: Annotated[Remembered, Depends(get_remembered)],
    recent: AnswersDep,
    subject: Annotated[str | None, Query(pattern=SUBJECT_FORM, description=f"{SUBJECT}; all if unset")] = None,
    horizon_days: Annotated[int | None, Query(ge=1, le=365)] = None,
) -> Response:
    """Newest scores. An expired score is never among `scores`; if nothing is fresh the answer is a 503. `degradation`
    says who speaks where the champion does not, and why; while the database is away the scores read last are told until
    they expire. `market.time` is when the answer was made, at most a second ago."""
    question = ("/risk/current", subject, horizon_days)
    made = await recent.get(
        question, lambda: _current(store, remembered, subject, horizon_days).model_dump_json().encode()
    )
    return Response(made, media_type="application/json")


def _current(store: Store, remembered: Remembered, subject: str | None, horizon_days: int | None) -> RiskCurrent:
    reading = remembered.current(subject, horizon_days)
    market = reading.market
    rungs = [of_score(row, market.time, reading.standing) for row in reading.rows]
    scores = [_score(row, market.time, rung) for row, rung in zip(reading.rows, rungs, strict=True)]
    if not scores and (subject is not None or horizon_days is not None):
        known = sorted({int(row["horizon_days"]) for row in store.current(subject, None)})
        if known or subject is not None:
            raise _unknown(subject, known)
    fresh, expired = [s for s in scores if not s.stale], [s for s in scores if s.stale]
    degradation = of_all(rungs, reading.standing)
    if not fresh:
        raise _expired(market, expired, degradation)
    return RiskCurrent(market=market, scores=fresh, expired=expired, degradation=degradation)


def _expired(market: Market, expired: list[Score], degradation: Degradation | None) -> Problem:
    if not expired:
        return Problem(503, "no_scores", "No scores yet", "Scoring has not finished once: run the pipeline.",
                       retry_after_s=60)  # fmt: skip
    newest = max(expired, key=lambda score: score.valid_until)
    return Problem(
        503, "score_expired", "Every score asked for has expired",
        f"The newest was valid until {newest.valid_until.isoformat()}, the market clock says {market.time.isoformat()};"
        " /health names the job or feed that is late.",
        {
            "market": market.model_dump(mode="json"),
            "last_known": [s.model_dump(mode="json") for s in expired],
            "degradation": degradation.model_dump(mode="json") if degradation is not None else None,
        },
        retry_after_s=60,
    )  # fmt: skip


def _unknown(subject: str | None, known: list[int]) -> Problem:
    """`known`: horizons at which there are scores of the subject, or of any subject."""
    whose = f" for {subject!r}" if subject is not None else ""
    if known:
        detail = f"horizon_days: no score was ever made{whose} at that horizon; there is: {known}"
    else:
        detail = f"subject: no score was ever made{whose}; /v1/risk/current without parameters lists what there is."
    return Problem(
        404, "unknown_subject", "Unknown subject or horizon", detail, field="horizon_days" if known else "subject"
    )


def _encode_cursor(row: RowMapping) -> str:
    return base64.urlsafe_b64encode(f"{row['issued_at'].isoformat()}|{row['id']}".encode()).decode()


def _decode_cursor(cursor: str) -> tuple[datetime, int]:
    try:
        stamp, _, identity = base64.urlsafe_b64decode(cursor.encode()).decode().partition("|")
        moment = datetime.fromisoformat(stamp)
        if moment.tzinfo is None:
            raise ValueError("naive time")
        return moment, int(identity)
    except (ValueError, binascii.Error) as error:
        raise Problem(
            422, "invalid_parameter", "A parameter is not valid",
            "cursor: not one that this API gave out; leave it out to start at the newest score.", field="cursor",
        ) from error  # fmt: skip


@router.get("/risk/history", responses=_PROBLEMS)
def risk_history(
    store: StoreDep,
    market: MarketDep,
    subject: Annotated[str, Query(pattern=SUBJECT_FORM, description=SUBJECT)],
    horizon_days: Annotated[int | None, Query(ge=1, le=365, description="Shortest one when left out")] = None,
    since: Annotated[Moment | None, Query(alias="from", description="Issued at or after; ISO 8601 with zone")] = None,
    until: Annotated[Moment | None, Query(alias="to", description="Issued before; ISO 8601 with zone")] = None,
    limit: Annotated[int, Query(ge=1, le=_MAX_PAGE)] = 100,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> RiskHistory:
    """Scores as they were issued, newest first, page by page. Nothing is ever rewritten."""
    if since is not None and until is not None and since >= until:
        raise Problem(422, "invalid_parameter", "A parameter is not valid", "from: must be before `to`", field="from")
    known = store.horizons(subject)
    horizon = horizon_days if horizon_days is not None else (known[0] if known else None)
    if horizon is None or horizon not in known:
        raise _unknown(subject, known)
    rows = store.history(subject, horizon, since, until, _decode_cursor(cursor) if cursor else None, limit + 1)
    page = rows[:limit]
    return RiskHistory(
        market=market, subject=subject, horizon_days=horizon,
        scores=[_score(row, market.time) for row in page],
        next_cursor=_encode_cursor(page[-1]) if len(rows) > limit else None,
    )  # fmt: skip
