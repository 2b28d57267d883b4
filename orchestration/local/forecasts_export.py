"""`ballast forecasts export`: out-of-sample walk-forward forecasts as CSV, one file for every series.

Each row is what Ballast would have published at that origin: the forecast of the model that the gate would have chosen
with the losses known by then, fitted only on what was known then. No row knows which model won in the end.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection, text

from models.contracts.score import PUBLISHED

HEADER = ("asset", "origin", "horizon", "rv_forecast", "p_spike", "score", "var99", "es99", "issued_at")

_FORECASTS = """
with evaluation as (
    select distinct on (panel, horizon_days) panel, horizon_days, evaluation_id
    from ml.evaluations where panel <> 'vault'
    order by panel, horizon_days, id desc
)
select w.series, w.origin, w.horizon_days, w.rv_forecast, w.p_spike, w.score, w.var99, w.es99,
    to_char(w.issued_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
from ml.walk_forward as w
inner join evaluation as e on e.evaluation_id = w.evaluation_id and e.horizon_days = w.horizon_days
where w.model = :published and (cast(:series as text) is null or w.series = :series)
order by w.series, w.horizon_days, w.origin
"""


def write_forecasts(connection: Connection, target: Path, series: str | None) -> tuple[int, int]:
    """Write the file, complete or not at all; returns rows and series. Numbers keep every digit."""
    chosen = {"series": series, "published": PUBLISHED}
    rows: Sequence[Sequence[object]] = [tuple(row) for row in connection.execute(text(_FORECASTS), chosen)]
    fresh = target.with_name(f".{target.name}.new")
    target.parent.mkdir(parents=True, exist_ok=True)
    with fresh.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows(["" if value is None else value for value in row] for row in rows)
    fresh.replace(target)
    return len(rows), len({row[0] for row in rows})
