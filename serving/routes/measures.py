"""Measures of risk beside the scores: value at risk, correlations, regimes. As with scores, what has expired never
stands among what is fresh, and an answer without anything fresh is a 503."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query
from sqlalchemy.engine import RowMapping

from models.access.keys import Scope
from serving.access.scopes import needs
from serving.dependencies import MarketDep, StoreDep
from serving.errors import Problem
from serving.measures import (
    CorrelationMatrix,
    CorrelationMethod,
    DaysOf,
    Regime,
    RegimeMethod,
    RiskCorrelation,
    RiskRegimes,
    RiskVar,
    Standing,
    ValueAtRisk,
    VarMethod,
)
from serving.routes.risk import SUBJECT, SUBJECT_FORM, problem_example
from serving.schemas import Market

router = APIRouter(tags=["risk"], dependencies=[needs(Scope.READ)])

_PROBLEMS: dict[int | str, dict[str, Any]] = {
    404: problem_example("There is nothing of this kind for what was asked", "unknown_subject", 404),
    422: problem_example("A parameter is not valid", "invalid_parameter", 422),
    503: problem_example("Everything asked for has expired, or cannot be read", "measure_expired", 503),
}
Answer = TypeVar("Answer", bound=Standing)
Subject = Annotated[str | None, Query(pattern=SUBJECT_FORM, description=f"{SUBJECT}; all if unset")]


def _answers(
    kind: type[Answer], rows: Sequence[RowMapping], market: Market, asked: Mapping[str, Any]
) -> tuple[list[Answer], list[Answer]]:
    """Rows as answers, those that are fresh and those that have expired.

    Raises Problem where nothing is fresh (503), or nothing is there at all (404; 503 if all was asked for).
    """
    if not rows:
        raise _nothing({name: value for name, value in asked.items() if value is not None})
    found = [
        kind(
            **{name: row[name] for name in kind.model_fields if name not in ("stale", "age_s")},
            stale=market.time > row["valid_until"],
            age_s=max(0, int((market.time - row["as_of"]).total_seconds())),
        )
        for row in rows
    ]
    fresh, expired = [a for a in found if not a.stale], [a for a in found if a.stale]
    if not fresh:
        raise _expired(market, expired)
    return fresh, expired


def _nothing(asked: Mapping[str, Any]) -> Problem:
    if not asked:
        return Problem(503, "no_measures", "No measures yet", "Scoring has not finished once: run the pipeline.",
                       retry_after_s=60)  # fmt: skip
    words = ", ".join(f"{name}={value}" for name, value in asked.items())
    way_out = "the same path without parameters lists what there is."
    if "scope" in asked:
        way_out = "scope is market, or vault:<id> of a vault with two risky legs."
    return Problem(
        404, "unknown_subject", "Nothing for what was asked",
        f"There is nothing for {words}; {way_out}",
        field=next(iter(asked)) if len(asked) == 1 else None,
    )  # fmt: skip


def _expired(market: Market, found: Sequence[Standing]) -> Problem:
    newest = max(answer.valid_until for answer in found)
    return Problem(
        503, "measure_expired", "Everything asked for has expired",
        f"The newest was valid until {newest.isoformat()}, the market clock says {market.time.isoformat()};"
        " /health names the job or feed that is late.",
        {"market": market.model_dump(mode="json"), "last_known": [a.model_dump(mode="json") for a in found]},
        retry_after_s=60,
    )  # fmt: skip


@router.get("/risk/var", responses=_PROBLEMS)
def risk_var(
    store: StoreDep,
    market: MarketDep,
    subject: Subject = None,
    horizon_days: Annotated[int | None, Query(ge=1, le=365)] = None,
    method: Annotated[VarMethod | None, Query(description="All if unset")] = None,
) -> RiskVar:
    """Value at risk and expected shortfall at 95 and 99 %, with how often losses were beyond them in the last year."""
    asked = {"subject": subject, "horizon_days": horizon_days, "method": method}
    fresh, expired = _answers(ValueAtRisk, store.var(subject, horizon_days, method), market, asked)
    return RiskVar(market=market, var=fresh, expired=expired)


@router.get("/risk/correlation", responses=_PROBLEMS)
def risk_correlation(
    store: StoreDep,
    market: MarketDep,
    scope: Annotated[str | None, Query(pattern=SUBJECT_FORM, description="`market` (if unset) or `vault:<id>`")] = None,
    method: Annotated[CorrelationMethod | None, Query(description="Both if unset")] = None,
    regime: Annotated[DaysOf | None, Query(description="Days that count; each set of them if unset")] = None,
) -> RiskCorrelation:
    """Correlations of daily returns: of the present (`ewma`), of the last year, and of the days of each regime."""
    whose = scope or "market"
    asked = {"scope": scope, "method": method, "regime": regime}
    fresh, expired = _answers(CorrelationMatrix, store.correlation(whose, method, regime), market, asked)
    return RiskCorrelation(market=market, scope=whose, correlations=fresh, expired=expired)


@router.get("/risk/regimes", responses=_PROBLEMS)
def risk_regimes(
    store: StoreDep,
    market: MarketDep,
    subject: Subject = None,
    method: Annotated[RegimeMethod | None, Query(description="Both if unset")] = None,
) -> RiskRegimes:
    """Volatility regime (calm, normal, stressed), trend and changepoint of the newest closed day."""
    asked = {"subject": subject, "method": method}
    fresh, expired = _answers(Regime, store.regimes(subject, method), market, asked)
    return RiskRegimes(market=market, regimes=fresh, expired=expired)
