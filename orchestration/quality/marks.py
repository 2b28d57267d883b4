"""How far a check has read a raw table, so that it judges only what was stored since. Writers of a table take turns
(see `warehouse_append`), so numbers below the newest one are all there."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text

from models.contracts.market import Dataset
from models.contracts.tables import OPS_WATERMARKS
from orchestration.resources.warehouse import Warehouse
from orchestration.resources.warehouse_append import raw_table


def read_mark(warehouse: Warehouse, task: str, dataset: Dataset) -> int:
    """Newest `seq` the task has judged; 0 before its first run."""
    with warehouse.transaction() as connection:
        found = connection.execute(
            text(f"select seq from {OPS_WATERMARKS} where task = :task and dataset = :dataset"),
            {"task": task, "dataset": dataset.value},
        ).scalar_one_or_none()
        return int(found or 0)


def readable_seq(warehouse: Warehouse, dataset: Dataset, mark: int, now: datetime) -> int:
    """How far the table can be judged at market time `now`: up to the newest row, or to the first not known yet."""
    sql = (
        "select coalesce(min(seq) filter (where available_at > :now) - 1, max(seq), :mark) as seq "
        f"from {raw_table(dataset)} where seq > :mark"
    )
    return int(warehouse.rows(sql, {"mark": mark, "now": now})[0]["seq"])


def write_mark(warehouse: Warehouse, task: str, dataset: Dataset, seq: int) -> None:
    """To be called after the task's findings are stored: a killed run judges again rather than not at all."""
    warehouse.upsert_table(OPS_WATERMARKS, [{"task": task, "dataset": dataset.value, "seq": seq}], ("task", "dataset"))
