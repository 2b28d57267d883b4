"""Reports on what the data lacks and what is not believed: `ballast gaps` and `ballast quality report`.

Reads `ops.gaps`, `raw.quarantine` and its releases. Rendering and SQL together, because each table is one query.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table
from sqlalchemy import Connection, text

from orchestration.local.report import count, day, minute, table_of

FIRST_OFFENDERS = 5

_GAPS = """
select g.dataset, g.series, g.interval,
    count(*) filter (where status <> 'fixed') as outages,
    coalesce(sum(missing_slots) filter (where status <> 'fixed'), 0) as missing,
    count(*) filter (where status = 'open') as open,
    count(*) filter (where status = 'absent_at_source') as absent,
    count(*) filter (where status = 'fixed') as fixed,
    sum(rows_added) as rows_added,
    max(missing_slots) as longest, min(gap_start) as first, max(gap_end) as last
from ops.gaps as g
where cast(:series as text) is null or g.series = :series
group by 1, 2, 3 order by 1, 3, 2
"""

_EACH_GAP = """
select dataset, series, interval, gap_start, gap_end, missing_slots, status, rows_added
from ops.gaps where cast(:series as text) is null or series = :series
order by dataset, interval, series, gap_start
"""

_CLASSES = f"""
with ranked as (
    select q.*, r.quarantine_id is not null as released,
        row_number() over (partition by q.dataset, q.action, q.reason order by q.series, q.ts, q.id) as rank
    from raw.quarantine as q left join raw.quarantine_releases as r on r.quarantine_id = q.id
    where (cast(:series as text) is null or series = :series) and (cast(:reason as text) is null or q.reason = :reason)
)
select dataset, action, reason, count(*) as rows, count(distinct series) as series,
    count(*) filter (where released) as released,
    array_agg(
        series || coalesce(' ' || to_char(ts at time zone 'UTC', 'YYYY-MM-DD HH24:MI'), '')
            || coalesce(' = ' || value, '')
        order by rank
    ) filter (where rank <= {FIRST_OFFENDERS}) as first
from ranked group by 1, 2, 3
order by array_position(array['reject', 'hold', 'flag'], action), 1, 4 desc, 3
"""

_EACH_ROW = """
select q.dataset, q.series, q.interval, q.ts, q.action, q.reason, q.value, q.detail, r.reason as release
from raw.quarantine as q left join raw.quarantine_releases as r on r.quarantine_id = q.id
where (cast(:series as text) is null or q.series = :series) and (cast(:reason as text) is null or q.reason = :reason)
order by array_position(array['reject', 'hold', 'flag'], q.action), q.dataset, q.reason, q.series, q.ts, q.id
"""

ACTIONS = {"reject": "rejected", "hold": "held", "flag": "flagged"}


def _rows(connection: Connection, query: str, **parameters: str | None) -> Sequence[Any]:
    return connection.execute(text(query), parameters).all()


def gap_table(connection: Connection, series: str | None) -> Table:
    """One line a series: outages that are still missing, what was back-filled, the longest one."""
    table = table_of(
        "Gaps (outages and missing slots: open or absent at the source; fixed: back-filled since)",
        ("series", "every"),
        ("outages", "missing", "open", "absent", "fixed", "rows added", "longest", "first", "last"),
    )
    for row in _rows(connection, _GAPS, series=series):
        table.add_row(
            escape(row.series), row.interval, count(row.outages), count(int(row.missing)), count(row.open),
            count(row.absent), count(row.fixed), count(int(row.rows_added)), count(row.longest), day(row.first),
            day(row.last),
        )  # fmt: skip
    return table


def each_gap_table(connection: Connection, series: str | None) -> Table:
    """Every gap with its first and last missing slot."""
    table = table_of(
        "Each gap (end exclusive)", ("series", "every", "from", "to"), ("slots", "rows added"), ("status",)
    )
    for row in _rows(connection, _EACH_GAP, series=series):
        table.add_row(
            escape(row.series), row.interval, minute(row.gap_start), minute(row.gap_end), count(row.missing_slots),
            count(row.rows_added), row.status.replace("_", " "),
        )  # fmt: skip
    return table


def quality_table(connection: Connection, series: str | None, reason: str | None) -> Table:
    """One line a class of rows that are not believed: how many, and the first of them."""
    table = table_of("Rows not taken at face value", ("what", "dataset", "why"), ("rows", "series", "released"))
    table.add_column(f"first {FIRST_OFFENDERS}", overflow="fold")
    for row in _rows(connection, _CLASSES, series=series, reason=reason):
        table.add_row(
            ACTIONS[row.action], row.dataset, row.reason, count(row.rows), count(row.series), count(row.released),
            escape("\n".join(row.first)),
        )  # fmt: skip
    return table


def each_row_table(connection: Connection, series: str | None, reason: str | None) -> Table:
    """Every row that was rejected, held or flagged."""
    table = table_of("Each row not taken at face value", ("what", "why", "series", "at"))
    table.add_column("value", overflow="fold")
    table.add_column("detail", overflow="fold")
    for row in _rows(connection, _EACH_ROW, series=series, reason=reason):
        detail = row.detail if row.release is None else f"{row.detail} - released: {row.release}"
        at = day(row.ts) if row.interval == "1d" else minute(row.ts)
        table.add_row(ACTIONS[row.action], row.reason, escape(row.series), at, escape(row.value or ""), escape(detail))
    return table
