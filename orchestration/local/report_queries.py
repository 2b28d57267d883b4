"""What the reports read from the warehouse, as plain rows. SQL and dataclasses only; how it looks is `report`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, text

from models.contracts.market import Dataset


@dataclass(frozen=True, slots=True)
class SeriesLine:
    """One series of the catalogue. Counts of gaps are outages, counts of slots are missing observations."""

    id: str
    interval: str
    kind: str
    rows: int
    first: datetime | None
    last: datetime | None
    outages: int
    missing: int
    open_gaps: int
    held: int
    flagged: int
    rejected: int
    age_s: int | None
    stale: bool
    scored: bool


@dataclass(frozen=True, slots=True)
class ScoreLine:
    """The newest score of one subject and horizon; numbers are None where `status` says why."""

    subject: str
    subject_kind: str
    kind: str  # kind of series, `vault` for vaults
    horizon_days: int
    as_of: datetime
    status: str
    reasons: tuple[str, ...]
    score: float | None
    p_spike: float | None
    sigma_ann: float | None
    var99: float | None
    model_name: str
    model_version: str


@dataclass(frozen=True, slots=True)
class Champion:
    panel: str
    horizon_days: int
    algorithm: str
    model_version: str
    reason: str


@dataclass(frozen=True, slots=True)
class VaultLine:
    """Newest target of a vault, the keeper's newest decision about it and what became of that."""

    vault_id: str
    state: str
    score: float | None
    weights: Mapping[str, Any]
    reasons: tuple[str, ...]
    verdict: str | None
    decision_reasons: tuple[str, ...]
    phase: str | None
    intent_state: str | None
    intent_reason: str | None
    tx_hash: str | None
    ledger: int | None
    snapshot_weights: Mapping[str, Any] | None
    tvl_usd: float | None


@dataclass(frozen=True, slots=True)
class MarketLine:
    name: str
    data_mode: str
    clock_anchor: datetime | None
    wall_anchor: datetime | None
    clock_speed: float | None


# Raw tables are counted by the keys of the catalogue, so that a series without a row is still a line.
_RAW = " union all ".join(
    f"select '{dataset.value}' as dataset, series, interval, count(*) as rows, min(ts) as first, max(ts) as last "
    f"from raw.{dataset.value} group by 2, 3"
    for dataset in Dataset
)

_SERIES = f"""
with raw_rows as ({_RAW}),
gaps as (
    select dataset, series, interval,
        count(*) filter (where status <> 'fixed') as outages,
        coalesce(sum(missing_slots) filter (where status <> 'fixed'), 0)::bigint as missing,
        count(*) filter (where status = 'open') as open_gaps
    from ops.gaps group by 1, 2, 3
)
select s.id, s.interval, s.kind, coalesce(r.rows, 0) as rows, r.first, r.last,
    coalesce(g.outages, 0) as outages, coalesce(g.missing, 0) as missing, coalesce(g.open_gaps, 0) as open_gaps,
    q.held, q.flagged, q.rejected,
    f.age_s, coalesce(f.stale, false) as stale, s.scored
from ops.series as s
left join raw_rows as r on r.dataset = s.dataset and r.series = s.id and r.interval = s.interval
left join gaps as g on g.dataset = s.dataset and g.series = s.id and g.interval = s.interval
cross join lateral (
    select
        count(*) filter (where action = 'hold') as held,
        count(*) filter (where action = 'flag') as flagged,
        count(*) filter (where action = 'reject') as rejected
    from raw.quarantine as q
    where q.series = s.id and q.dataset = s.dataset and coalesce(q.interval, s.interval) = s.interval
) as q
left join ops.freshness as f on f.dataset = s.dataset and f.series = s.id and f.interval = s.interval
order by array_position(array['candles', 'ranges', 'fixings', 'street'], s.kind), s.interval, s.id
"""

_SCORES = """
select distinct on (c.subject, c.horizon_days)
    c.subject, c.subject_kind, coalesce(s.kind, c.subject_kind) as kind, c.horizon_days, c.as_of, c.status, c.reasons,
    c.score, c.p_spike, c.sigma_ann, c.var99, c.model_name, c.model_version
from risk.scores as c
left join (select id, min(kind) as kind from ops.series where scored group by id) as s on s.id = c.subject
order by c.subject, c.horizon_days, c.issued_at desc, c.id desc
"""

_CHAMPIONS = """
select distinct on (panel, horizon_days) panel, horizon_days, algorithm, model_version, reason
from ml.promotions where action in ('promoted', 'rolled_back', 'fell_back')
order by panel, horizon_days, promoted_at desc, id desc
"""

_VAULTS = """
with target as (
    select distinct on (vault_id) * from risk.target_allocations order by vault_id, as_of desc, id desc
),
decision as (
    select distinct on (vault_id) * from keeper.decisions order by vault_id, created_at desc
),
snapshot as (
    select distinct on (series) series, weights, tvl_usd from raw.vault_snapshots order by series, ts desc, seq desc
)
select t.vault_id, t.state, t.score, t.weights, t.reasons, d.verdict, coalesce(d.reasons, '{}') as decision_reasons,
    d.phase, i.state as intent_state, i.reason as intent_reason, a.tx_hash, a.ledger, s.weights as snapshot_weights,
    s.tvl_usd::float8 as tvl_usd
from target as t
left join decision as d on d.vault_id = t.vault_id
left join keeper.intents as i on i.decision_id = d.id
left join lateral (
    select tx_hash, ledger from keeper.attempts where intent_id = i.id order by n desc limit 1
) as a on true
left join snapshot as s on s.series in (t.vault_id, 'vault:' || t.vault_id)
order by t.vault_id
"""


Line = TypeVar("Line")


def _lines(connection: Connection, query: str, line: Callable[..., Line]) -> list[Line]:
    """Rows as `line`, matched by column name; arrays become tuples."""
    result = connection.execute(text(query)).mappings()
    return [line(**{k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}) for row in result]


def series_lines(connection: Connection) -> list[SeriesLine]:
    """The catalogue with its counts, coins first."""
    return _lines(connection, _SERIES, SeriesLine)


def score_lines(connection: Connection) -> list[ScoreLine]:
    """Newest score of each subject and horizon, by subject, then horizon."""
    return _lines(connection, _SCORES, ScoreLine)


def champions(connection: Connection) -> list[Champion]:
    """The champion of each panel and horizon."""
    return _lines(connection, _CHAMPIONS, Champion)


def vault_lines(connection: Connection) -> list[VaultLine]:
    """Newest target of each vault with what followed from it."""
    return _lines(connection, _VAULTS, VaultLine)


def market_line(connection: Connection) -> MarketLine | None:
    """The market of this database; None before its first run."""
    query = "select name, data_mode, clock_anchor, wall_anchor, clock_speed from ops.market"
    return next(iter(_lines(connection, query, MarketLine)), None)
