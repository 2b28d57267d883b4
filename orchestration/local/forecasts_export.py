"""`ballast forecasts export`: the champion's out-of-sample walk-forward forecasts as CSV, one file for every series.

Each row is what the champion of its panel and horizon would have said at that origin, fitted only on what was known
then. Rows come from the evaluation that the newest promotion rests on.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection, text

HEADER = ("asset", "origin", "horizon", "rv_forecast", "p_spike", "score", "var99", "es99", "issued_at")

_FORECASTS = """
with promotion as (
    select distinct on (panel, horizon_days) panel, horizon_days, algorithm, id
    from ml.promotions order by panel, horizon_days, id desc
),
evaluation as (
    select distinct on (e.panel, e.horizon_days) e.panel, e.horizon_days, e.evaluation_id, p.algorithm
    from ml.evaluations as e
    inner join promotion as p on p.panel = e.panel and p.horizon_days = e.horizon_days
    order by e.panel, e.horizon_days, e.id desc
)
select w.series, w.origin, w.horizon_days, w.rv_forecast, w.p_spike, w.score, w.var99, w.es99,
    to_char(w.issued_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
from ml.walk_forward as w
inner join evaluation as e
    on e.evaluation_id = w.evaluation_id and e.algorithm = w.model and e.horizon_days = w.horizon_days
where cast(:series as text) is null or w.series = :series
order by w.series, w.horizon_days, w.origin
"""


def write_forecasts(connection: Connection, target: Path, series: str | None) -> tuple[int, int]:
    """Write the file, complete or not at all; returns rows and series. Numbers keep every digit."""
    rows: Sequence[Sequence[object]] = [tuple(row) for row in connection.execute(text(_FORECASTS), {"series": series})]
    fresh = target.with_name(f".{target.name}.new")
    target.parent.mkdir(parents=True, exist_ok=True)
    with fresh.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows(["" if value is None else value for value in row] for row in rows)
    fresh.replace(target)
    return len(rows), len({row[0] for row in rows})
