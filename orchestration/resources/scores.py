"""Scores and targets as rows and back: the mapping between `models.contracts.score` and `risk.*`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any

from models.contracts.market import DataMode
from models.contracts.score import Driver, Role, Rung, Score, ScoreStatus
from models.contracts.tables import RISK_SCORES, RISK_TARGET_ALLOCATIONS
from models.contracts.vault import PolicyState
from orchestration.resources.warehouse import Warehouse

_NUMBERS = ("score", "p_spike", "rv_forecast", "sigma_ann", "var99", "es99", "rv_low", "rv_high", "confidence")


def as_row(score: Score, run_id: str, promotion_id: int = 0, rung: Rung = Rung.CHAMPION) -> dict[str, Any]:
    """A row of `risk.scores`. `promotion_id`: entry of the ledger by which its model speaks, 0 without a model; `rung`:
    who spoke, if there is a number."""
    return {
        "subject": score.subject,
        "subject_kind": "vault" if score.subject.startswith("vault:") else "series",
        "horizon_days": score.horizon_days,
        "as_of": score.as_of,
        "issued_at": score.issued_at,
        "valid_until": score.valid_until,
        "status": score.status.value,
        "reasons": list(score.reasons),
        **{name: getattr(score, name) for name in _NUMBERS},
        "model_name": score.model_name,
        "model_version": score.model_version,
        "data_mode": score.data_mode.value,
        "share_imputed": score.share_imputed,
        "share_stale": score.share_stale,
        "degraded": score.status is ScoreStatus.DEGRADED,
        "drivers": [_finite(asdict(driver)) for driver in score.drivers],
        "promotion_id": promotion_id,
        "rung": (rung if score.score is not None else Rung.NONE).value,
        "run_id": run_id,
    }


def as_prediction(score: Score, run_id: str, role: Role, algorithm: str) -> dict[str, Any]:
    """A row of `ml.predictions`, for a score with a number."""
    return {
        "series": score.subject, "horizon_days": score.horizon_days, "as_of": score.as_of,
        "issued_at": score.issued_at, "model_name": score.model_name, "model_version": score.model_version,
        "rv_forecast": score.rv_forecast, "p_spike": score.p_spike, "score": score.score, "var99": score.var99,
        "es99": score.es99, "data_mode": score.data_mode.value, "role": role.value, "algorithm": algorithm,
        "run_id": run_id,
    }  # fmt: skip


def _finite(driver: dict[str, Any]) -> dict[str, Any]:
    """JSON knows no NaN: the value of a feature that is missing (trees can still give it a weight) is null."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in driver.items()}


def latest_score(warehouse: Warehouse, subject: str, horizon_days: int) -> tuple[Score | None, int | None]:
    """Newest score of a subject with the id of its row."""
    rows = warehouse.rows(
        f"select * from {RISK_SCORES} where subject = :subject and horizon_days = :horizon "
        "order by as_of desc, id desc limit 1",
        {"subject": subject, "horizon": horizon_days},
    )
    return (as_score(rows[0]), int(rows[0]["id"])) if rows else (None, None)


def as_score(row: Mapping[str, Any]) -> Score:
    """The score that a row of `risk.scores` holds."""
    return Score(
        subject=row["subject"],
        horizon_days=row["horizon_days"],
        as_of=row["as_of"],
        issued_at=row["issued_at"],
        valid_until=row["valid_until"],
        status=ScoreStatus(row["status"]),
        reasons=tuple(row["reasons"]),
        **{name: row[name] for name in _NUMBERS},
        model_name=row["model_name"],
        model_version=row["model_version"],
        data_mode=DataMode(row["data_mode"]),
        share_imputed=row["share_imputed"],
        share_stale=row["share_stale"],
        drivers=tuple(
            Driver(d["name"], math.nan if d["value"] is None else d["value"], d["contribution"]) for d in row["drivers"]
        ),
    )


def promotion_of(warehouse: Warehouse, score_id: int | None) -> int:
    """Entry of the ledger behind a stored score; 0 without one."""
    rows = warehouse.rows(f"select promotion_id from {RISK_SCORES} where id = :id", {"id": score_id})
    return int(rows[0]["promotion_id"]) if rows else 0


def last_wanted(
    warehouse: Warehouse, vault_id: str, before: datetime
) -> tuple[PolicyState | None, dict[str, Decimal] | None]:
    """State and weights of the newest target whose score is older than `before`: the memory of a vault's policy."""
    rows = warehouse.rows(
        f"select state, weights from {RISK_TARGET_ALLOCATIONS} where vault_id = :vault and as_of < :before "
        "order by as_of desc, id desc limit 1",
        {"vault": vault_id, "before": before},
    )
    if not rows:
        return None, None
    weights = {symbol: Decimal(str(weight)) for symbol, weight in rows[0]["weights"].items()}
    return PolicyState(rows[0]["state"]), weights
