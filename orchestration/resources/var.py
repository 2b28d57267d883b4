"""Value at risk as rows: which scores have none yet, and the mapping between `models.risk.methods` and `risk.var`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from models.contracts.market import DataMode
from models.contracts.score import ScoreStatus
from models.contracts.tables import RISK_SCORES, RISK_VAR
from models.risk.methods import Method, VarEstimate
from models.volatility.status import Verdict
from orchestration.resources.warehouse import Warehouse

NUMBERS = ("var95", "es95", "var99", "es99")


@dataclass(frozen=True, slots=True)
class Scored:
    """What a score says that a value at risk rests on. `rv_forecast`: variance a day, NaN without a number; `var99`,
    `es99`: its own tail, at one day only."""

    id: int
    subject: str
    horizon_days: int
    as_of: datetime
    valid_until: datetime
    said: Verdict
    rv_forecast: float
    var99: float | None
    es99: float | None

    def agreed(self, found: VarEstimate) -> VarEstimate:
        """An estimate for this score, with the numbers that it has shown already by the same method."""
        if found.method is not Method.FILTERED or self.var99 is None or self.es99 is None:
            return found
        return replace(found, var99=self.var99, es99=self.es99)


def scores_without_var(warehouse: Warehouse) -> list[Scored]:
    """Newest score of each subject and horizon among those that are newer than any with a value at risk."""
    rows = warehouse.rows(
        f"""
        select distinct on (subject, horizon_days)
            id, subject, horizon_days, as_of, valid_until, status, reasons, rv_forecast, var99, es99
        from {RISK_SCORES} where id > (select coalesce(max(score_id), 0) from {RISK_VAR})
        order by subject, horizon_days, id desc
        """
    )
    return [
        Scored(
            row["id"], row["subject"], row["horizon_days"], row["as_of"], row["valid_until"],
            Verdict(ScoreStatus(row["status"]), tuple(row["reasons"])),
            math.nan if row["rv_forecast"] is None else row["rv_forecast"], row["var99"], row["es99"],
        )
        for row in rows
    ]  # fmt: skip


def as_row(score: Scored, found: VarEstimate, verdict: Verdict, now: datetime) -> dict[str, Any]:
    """A row of `risk.var`; without a number where the verdict gives none."""
    numbers = {name: getattr(found, name) if verdict.gives_number else None for name in NUMBERS}
    return {
        "score_id": score.id, "subject": score.subject, "horizon_days": score.horizon_days,
        "method": found.method.value, "as_of": score.as_of, "issued_at": now, "valid_until": score.valid_until,
        "status": verdict.status.value, "reasons": list(verdict.reasons), "required": verdict.required,
        "received": verdict.received,
        "sufficient_on": None if verdict.sufficient_on is None else verdict.sufficient_on.date(),
        **{f"{name}_log": value for name, value in numbers.items()},
        "sample_days": found.sample, "tested_windows": found.tested, "exceeded95": found.exceeded95,
        "exceeded99": found.exceeded99,
    }  # fmt: skip


def store_var(warehouse: Warehouse, rows: Sequence[dict[str, Any]], mode: DataMode, run_id: str) -> int:
    """Write rows, all or none; a score and method that has one is skipped. Returns rows added."""
    return warehouse.append_table(RISK_VAR, [{**row, "data_mode": mode.value, "run_id": run_id} for row in rows])
