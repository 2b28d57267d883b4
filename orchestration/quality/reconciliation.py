"""Days on which two sources of the same official rate disagree. Who is right is not decided here."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import combinations

import pandas as pd

from models.contracts.market import Dataset
from models.contracts.tables import OPS_RECONCILIATION, OPS_SERIES, RAW_FX_RATES
from models.timeseries.limits import DEFAULT_LIMITS
from models.timeseries.reconcile import reconcile
from orchestration.quality.marks import read_mark, readable_seq, write_mark
from orchestration.resources.warehouse import Warehouse

_TASK = "reconcile_sources"

Tolerance = Callable[[str, str], float]  # base and quote -> largest difference of logarithms that is no disagreement


def reconcile_sources(
    warehouse: Warehouse, now: datetime, tolerance: Tolerance | None = None, *, full: bool = False
) -> int:
    """Compare the daily series of each pair where rows were stored since the last run (everywhere with `full`).

    `tolerance`: what the universe allows each pair. Returns the number of newly flagged days."""
    mark = 0 if full else read_mark(warehouse, _TASK, Dataset.FX_RATES)
    upto = readable_seq(warehouse, Dataset.FX_RATES, mark, now)
    since = _since(warehouse, mark)
    if since is None:
        return 0
    rates = warehouse.read(
        f"""
        select distinct on (r.series, r.ts) r.series, r.base, r.quote, r.ts, r.rate
        from {RAW_FX_RATES} as r
        join {OPS_SERIES} as s on s.dataset = 'fx_rates' and s.id = r.series and s.interval = r.interval
        where r.interval = '1d' and s.kind in ('ranges', 'fixings') and r.available_at <= :now
        and r.ts >= :since
        and (r.base, r.quote) in (
            select base, quote from {OPS_SERIES}
            where dataset = 'fx_rates' and interval = '1d' and kind in ('ranges', 'fixings')
            group by base, quote having count(*) > 1
        )
        order by r.series, r.ts, r.available_at desc, r.seq desc
        """,
        {"now": now, "since": since},
    )
    rows: list[dict[str, object]] = []
    for (base, quote), pair in rates.groupby(["base", "quote"]):
        allowed = tolerance(str(base), str(quote)) if tolerance else DEFAULT_LIMITS.reconcile_log_distance
        sources = {str(series): group.set_index("ts")["rate"] for series, group in pair.groupby("series")}
        for a, b in combinations(sorted(sources), 2):
            for ts, difference in reconcile(sources[a], sources[b], allowed).items():
                rows.append(
                    {
                        "day": pd.Timestamp(str(ts)).date(), "base": base, "quote": quote, "series_a": a, "series_b": b,
                        "log_difference": float(difference), "tolerance": allowed,
                        "flagged_at": now,
                    }
                )  # fmt: skip
    added = warehouse.append_table(OPS_RECONCILIATION, rows, conflict=("day", "series_a", "series_b"))
    write_mark(warehouse, _TASK, Dataset.FX_RATES, upto)
    return added


def _since(warehouse: Warehouse, mark: int) -> datetime | None:
    """Oldest time of what was stored beyond the mark; None if nothing was."""
    rows = warehouse.rows(f"select min(ts) as ts from {RAW_FX_RATES} where seq > :mark", {"mark": mark})
    found: datetime | None = rows[0]["ts"]
    return found
