"""The ladder as the API tells it: champion, baseline, last good, no score; on which rung, since when, why."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Rung = Literal["champion", "baseline", "last_good", "none"]
RUNGS: tuple[Rung, ...] = ("champion", "baseline", "last_good", "none")  # from the best down
CauseCode = Literal[
    "fell_back", "model_file", "model_expired", "no_model", "input_held", "insufficient_data", "stale_feed",
    "scoring_late", "training_late", "expired", "database_away",
]  # fmt: skip

EXAMPLE: dict[str, Any] = {
    "rung": "last_good",
    "since": "2026-01-01T02:00:00Z",
    "causes": [
        {
            "code": "scoring_late",
            "detail": "job hourly_refresh: 3 failures in a row, last success 14400 s ago of 8100 s allowed",
            "since": "2026-01-01T00:15:00Z",
        }
    ],
    "last_good": {
        "score": 62.4,
        "as_of": "2026-01-01T00:00:00Z",
        "issued_at": "2026-01-01T00:00:00Z",
        "valid_until": "2026-01-01T02:00:00Z",
    },
}


class Cause(BaseModel):
    """What is missing. `code` is stable."""

    code: CauseCode
    detail: str
    since: datetime | None = Field(default=None, description="Market time since which it is missing, where known")


class LastGood(BaseModel):
    """The newest score that carried a number. To look at: its validity may have passed."""

    score: float
    as_of: datetime
    issued_at: datetime
    valid_until: datetime


class Degradation(BaseModel):
    """What is told instead of a fresh score of the champion, and why."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    rung: Rung = Field(description="champion: it speaks, though something is missing; last_good: only an old number")
    since: datetime | None = Field(description="Market time since which it is this rung, where known")
    causes: list[Cause]
    last_good: LastGood | None = Field(
        default=None, description="Of one score: its last number, on the rung last_good; null elsewhere"
    )
