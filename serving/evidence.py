"""Queries behind what a score is to be believed by: stored forecasts and their outcomes, the official rate beside the
street's, gaps. Text asked through a function of the caller, as in `models.runs`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from models.contracts.tables import ML_WALK_FORWARD, OPS_GAPS, OPS_SERIES
from models.runs.reading import Ask

Rows = Sequence[Mapping[str, Any]]

_HORIZONS = f"""
    select distinct horizon_days from {ML_WALK_FORWARD}
    where model = 'champion' and series = :subject order by horizon_days
"""
_KIND = f"select kind from {OPS_SERIES} where id = :subject and scored order by dataset limit 1"
_FORECASTS = f"""
    with evaluation as (
        select evaluation_id, recorded_at from {ML_WALK_FORWARD}
        where series = :subject and horizon_days = :horizon_days and model = 'champion'
        order by recorded_at desc limit 1
    )
    select evaluation_id, w.origin, w.issued_at, w.score, w.p_spike, w.rv_forecast, w.realised
    from {ML_WALK_FORWARD} as w join evaluation using (evaluation_id)
    where w.series = :subject and w.horizon_days = :horizon_days and w.model = 'champion' order by w.origin
"""
_STREET = f"select id, max_age_s from {OPS_SERIES} where dataset = 'fx_rates' and kind = 'street' order by id"
_COLUMNS = """series, ts, base, quote, is_observed, street_rate, official_series, official_rate, official_day, premium,
    official_age_h, is_official_stale, source_regime, is_capped, is_flagged, n_offers, available_at"""
_NEWEST = f"""
    with known as ({_STREET})
    select newest.*, known.max_age_s from known cross join lateral (
        select {_COLUMNS} from features.premium where series = known.id order by ts desc limit 1
    ) as newest order by newest.series
"""
# The last row of a day speaks for it; a day without an observed print has no premium.
_DAYS = """
    select distinct on ((ts at time zone 'UTC')::date) (ts at time zone 'UTC')::date as day,
        street_rate, official_rate, premium, source_regime, is_capped, is_official_stale
    from features.premium
    where series = :series and ts >= :since
    order by (ts at time zone 'UTC')::date desc, is_observed desc, ts desc
"""
_GAPS = f"""
    select dataset, series, interval, gap_start, gap_end, missing_slots, status, detected_at, checked_at, rows_added,
        count(*) over () as total
    from {OPS_GAPS}
    where (cast(:series as text) is null or series = :series) and (cast(:status as text) is null or status = :status)
    order by gap_end desc, dataset, series, interval limit :limit
"""


class Evidence:
    """Reads of one market's tables."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def horizons(self, subject: str) -> list[int]:
        """At which there is a walk-forward of this subject."""
        return [int(row["horizon_days"]) for row in self._ask(_HORIZONS, {"subject": subject})]

    def kind(self, subject: str) -> str | None:
        """Kind of a scored series; None where it is none."""
        rows = self._ask(_KIND, {"subject": subject})
        return str(rows[0]["kind"]) if rows else None

    def forecasts(self, subject: str, horizon_days: int) -> Rows:
        """Published out-of-sample forecasts of the newest evaluation, oldest first."""
        return self._ask(_FORECASTS, {"subject": subject, "horizon_days": horizon_days})

    def street_series(self) -> list[str]:
        return [str(row["id"]) for row in self._ask(_STREET, {})]

    def premiums(self) -> Rows:
        """Newest row of each street series."""
        return self._ask(_NEWEST, {})

    def premium_days(self, series: str, since: datetime) -> Rows:
        """Last row of each day, newest first."""
        return self._ask(_DAYS, {"series": series, "since": since})

    def gaps(self, series: str | None, status: str | None, limit: int) -> Rows:
        """Those that end last first; `total` of all that were asked for in each row."""
        return self._ask(_GAPS, {"series": series, "status": status, "limit": limit})
