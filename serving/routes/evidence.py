"""What a score is to be believed by: its record and reliability, the premium of the street, gaps of the data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from models.access.keys import Scope
from models.contracts.horizons import PROTOCOLS
from models.contracts.market import SeriesKind
from models.validation.track_record import MIN_ROWS, track_record
from serving.access.scopes import needs
from serving.dependencies import MarketDep, StoreDep
from serving.errors import Problem
from serving.evidence_schemas import (
    Gap,
    Gaps,
    GapStatus,
    PremiumDay,
    PremiumHistory,
    Premiums,
    RecordDay,
    ReliabilityBin,
    StreetPremium,
    TrackRecord,
)
from serving.routes.decisions import only_known
from serving.routes.risk import SUBJECT, SUBJECT_FORM
from serving.routes.runs import problem
from serving.schemas import Market
from serving.store import Store

router = APIRouter(tags=["evidence"], dependencies=[needs(Scope.READ), Depends(only_known)])

_INVALID = "A parameter is not valid"
_AWAY = "The database cannot be read"


def _problems(path: str, absent: str | None = None) -> dict[int | str, dict[str, Any]]:
    found: dict[int | str, dict[str, Any]] = {
        422: problem(422, "invalid_parameter", _INVALID, path),
        503: problem(503, "database_unavailable", _AWAY, path),
    }
    return found if absent is None else found | {404: problem(404, absent, "There is nothing of that name", path)}


def _kind(store: Store, subject: str) -> SeriesKind:
    if subject.startswith("vault:"):
        return SeriesKind.VAULT
    found = store.evidence.kind(subject)
    kinds = {kind.value: kind for kind in PROTOCOLS}
    if found not in kinds:
        raise _no_record(subject, [])
    return kinds[found]


def _no_record(subject: str, known: list[int]) -> Problem:
    detail = f"horizon_days: there is no walk-forward of {subject!r} at that horizon; there is: {known}"
    if not known:
        detail = f"subject: there is no walk-forward of {subject!r}; it is made with the training of its panel."
    return Problem(
        404, "unknown_subject", "No record of this subject and horizon", detail,
        field="horizon_days" if known else "subject",
    )  # fmt: skip


@router.get("/risk/record", responses=_problems("/risk/record", "unknown_subject"))
def risk_record(
    store: StoreDep,
    market: MarketDep,
    subject: Annotated[str, Query(pattern=SUBJECT_FORM, description=SUBJECT)],
    horizon_days: Annotated[int | None, Query(ge=1, le=365, description="Shortest one when left out")] = None,
    days: Annotated[int, Query(ge=0, le=2000, description="How many of the newest forecasts are listed")] = 365,
) -> TrackRecord:
    """Out-of-sample forecasts of the newest walk-forward, spikes that followed, promised beside seen frequencies."""
    known = store.evidence.horizons(subject)
    horizon = horizon_days if horizon_days is not None else (known[0] if known else None)
    if horizon is None or horizon not in known:
        raise _no_record(subject, known)
    window = PROTOCOLS[_kind(store, subject)].spike_window
    rows = store.evidence.forecasts(subject, horizon)
    found = track_record([row["realised"] for row in rows], [row["p_spike"] for row in rows], horizon, window)
    reason = None
    if found.ece is None:
        reason = f"{found.rows} forecasts have a known outcome and a year before them; figures need {MIN_ROWS}"
    listed = [_day(row, spike) for row, spike in zip(rows, found.spike, strict=True)]
    return TrackRecord(
        market=market, subject=subject, horizon_days=horizon, evaluation_id=rows[0]["evaluation_id"],
        rows=found.rows, spikes=found.spikes, ece=found.ece, brier_skill=found.brier_skill, reason=reason,
        bins=[ReliabilityBin(**vars(each)) for each in found.bins], days=listed[::-1][:days],
    )  # fmt: skip


def _day(row: Mapping[str, Any], spike: float) -> RecordDay:
    return RecordDay(
        origin=row["origin"], as_of=row["issued_at"], score=row["score"], p_spike=row["p_spike"],
        sigma_day=_root(row["rv_forecast"]), realised_day=_root(row["realised"]),
        spike=None if math.isnan(spike) else bool(spike),
    )  # fmt: skip


def _root(variance: float | None) -> float | None:
    return None if variance is None else math.sqrt(variance)


@router.get("/market/premium", responses=_problems("/market/premium"))
def premiums(store: StoreDep, market: MarketDep) -> Premiums:
    """Newest street rate of each series beside the official rate known then, with the state of its source."""
    return Premiums(market=market, premiums=[_premium(row, market) for row in store.evidence.premiums()])


def _premium(row: Mapping[str, Any], market: Market) -> StreetPremium:
    same = ("series", "base", "quote", "ts", "street_rate", "official_series", "official_rate", "official_day",
            "premium", "official_age_h", "max_age_s")  # fmt: skip
    age_s = max(0, int((market.time - row["available_at"]).total_seconds()))
    return StreetPremium(
        **{name: row[name] for name in same}, observed=row["is_observed"], official_stale=row["is_official_stale"],
        source_state=row["source_regime"], capped=row["is_capped"], flagged=row["is_flagged"], offers=row["n_offers"],
        age_s=age_s, stale=age_s > row["max_age_s"],
    )  # fmt: skip


@router.get("/market/premium/history", responses=_problems("/market/premium/history", "unknown_series"))
def premium_history(
    store: StoreDep,
    market: MarketDep,
    series: Annotated[str, Query(pattern=SUBJECT_FORM, description="A street series")],
    days: Annotated[int, Query(ge=1, le=1100)] = 180,
) -> PremiumHistory:
    """Last print of each of the newest days."""
    known = store.evidence.street_series()
    if series not in known:
        raise Problem(
            404, "unknown_series", "Unknown street series",
            f"series: {series!r} is no street series; there is: {', '.join(known) or 'none'}.", field="series",
        )  # fmt: skip
    rows = store.evidence.premium_days(series, market.time - timedelta(days=days))
    found = [
        PremiumDay(
            day=row["day"], street_rate=row["street_rate"], official_rate=row["official_rate"], premium=row["premium"],
            source_state=row["source_regime"], capped=row["is_capped"], official_stale=row["is_official_stale"],
        )
        for row in rows
    ]  # fmt: skip
    return PremiumHistory(market=market, series=series, days=found)


@router.get("/market/gaps", responses=_problems("/market/gaps"))
def gaps(
    store: StoreDep,
    market: MarketDep,
    series: Annotated[str | None, Query(pattern=SUBJECT_FORM, description="All if unset")] = None,
    status: Annotated[GapStatus | None, Query(description="All if unset")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Gaps:
    """Gaps of the data, newest first: open ones, those that were filled, those that the source does not have."""
    rows = store.evidence.gaps(series, status, limit)
    found = [Gap(**{name: row[name] for name in Gap.model_fields}) for row in rows]
    return Gaps(market=market, total=rows[0]["total"] if rows else 0, gaps=found)
