"""What the checks on models let pass and what they name, on a ledger written by hand."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from models.contracts.clock import MarketClock
from models.contracts.tables import ML_EVALUATIONS, RISK_SCORES
from models.validation.ledger import Action, Entry
from orchestration.assets.evaluation import forecasts_path
from orchestration.checks.model_checks import champions_are_young_enough, edge_holds, gate_was_asked
from orchestration.resources.ledger import add_entry
from orchestration.resources.workspace import Workspace
from tests.orchestration.conftest import NOW

DAY = timedelta(days=1)
ACCEPTED = [{"model": "har", "accepted": False}, {"model": "lightgbm", "accepted": True}]
REFUSED = [{"model": "har", "accepted": True}, {"model": "lightgbm", "accepted": False}]


def write(workspace: Workspace, panel: str, **changes: Any) -> Entry:
    values: dict[str, Any] = {
        "id": 0, "action": Action.PROMOTED, "panel": panel, "horizon_days": 1, "model_name": f"volatility_{panel}_1d",
        "model_version": "1", "algorithm": "har", "replaced_version": None, "reason": "the best baseline",
        "evidence": {"evaluation_id": "e1", "gate": REFUSED}, "by": "gate", "at": NOW,
    }  # fmt: skip
    with workspace.warehouse.transaction() as connection:
        return add_entry(connection, Entry(**(values | changes)), "run")


def evaluation(workspace: Workspace, name: str = "e1") -> None:
    row = {"evaluation_id": name, "panel": "candles", "horizon_days": 1, "model": "har", "series": "*", "rows": 1,
           "data_hash": "d", "code_hash": "c", "data_mode": "simulated"}  # fmt: skip
    workspace.warehouse.append_table(ML_EVALUATIONS, [row])


@pytest.mark.parametrize(
    ("changes", "passed"),
    [
        ({}, True),
        ({"algorithm": "lightgbm", "evidence": {"evaluation_id": "e1", "gate": ACCEPTED}}, True),
        ({"algorithm": "lightgbm", "evidence": {"evaluation_id": "e1", "gate": REFUSED}}, False),
        ({"algorithm": "lightgbm", "evidence": {"evaluation_id": "e1"}}, False),
        ({"evidence": {"evaluation_id": "e2", "gate": REFUSED}}, False),
        ({"reason": ""}, False),
        ({"action": Action.REFUSED, "algorithm": "lightgbm", "reason": ""}, True),  # does not serve
        ({"action": Action.ROLLED_BACK, "evidence": {"evaluation_id": "e2"}}, False),
        ({"action": Action.FELL_BACK, "evidence": {"evaluation_id": "e1", "fallback": {"triggered": True}}}, True),
        ({"action": Action.FELL_BACK, "evidence": {"evaluation_id": "e1", "fallback": {"triggered": False}}}, False),
        ({"action": Action.FELL_BACK, "evidence": {"evaluation_id": "e1"}}, False),
    ],
    ids=[
        "baseline",
        "accepted",
        "refused",
        "no-figures",
        "no-evaluation",
        "no-reason",
        "not-serving",
        "rollback",
        "fallback",
        "fallback-without-trigger",
        "fallback-without-look",
    ],
)
def test_who_serves_was_accepted(workspace: Workspace, changes: dict[str, Any], passed: bool) -> None:
    evaluation(workspace)
    write(workspace, "candles", **changes)
    found = gate_was_asked(dg.build_asset_check_context(), workspace)
    assert isinstance(found, dg.AssetCheckResult)
    assert found.passed is passed


@pytest.mark.parametrize(
    ("panel", "trained_until", "passed"),
    [
        ("candles", NOW - 35 * DAY, True),
        ("candles", NOW - 35 * DAY - timedelta(seconds=1), False),
        ("vault", NOW - 36 * DAY, False),
        ("ranges", NOW - 45 * DAY, True),
        ("fixings", NOW - 46 * DAY, False),
        ("candles", None, True),  # an entry older than the figure says nothing about it
    ],
)
def test_old_champions_are_named(
    workspace: Workspace, panel: str, trained_until: datetime | None, passed: bool
) -> None:
    evidence = {"trained_until": trained_until.isoformat()} if trained_until is not None else {}
    write(workspace, panel, evidence=evidence)
    asked = {
        "subject": "BTC", "subject_kind": "series", "horizon_days": 1, "as_of": NOW, "issued_at": NOW,
        "valid_until": NOW, "status": "stale", "reasons": [], "model_name": f"volatility_{panel}_1d",
        "model_version": "1", "data_mode": "simulated", "share_imputed": 0.0, "share_stale": 0.0, "degraded": False,
        "drivers": [],
    }  # fmt: skip
    workspace.warehouse.append_table(RISK_SCORES, [asked])
    found = champions_are_young_enough(dg.build_asset_check_context(), workspace)
    assert isinstance(found, dg.AssetCheckResult)
    assert found.passed is passed
    assert found.severity is dg.AssetCheckSeverity.WARN
    assert (f"volatility_{panel}_1d" in str(found.metadata["offenders"].value)) is not passed


def walk_forward(later: float, reference: int, since: int) -> pd.DataFrame:
    """HAR misses each log variance by about 0.5, LightGBM by about 0.3 and, on the last `since` days, by `later`."""
    rng = np.random.default_rng(0)
    days = reference + since
    realised = np.exp(rng.normal(-8.0, 0.5, days))
    miss = {"har": np.full(days, 0.5), "lightgbm": np.where(np.arange(days) < reference, 0.3, later)}
    frames = [
        pd.DataFrame(
            {
                "model": model, "series": "BTC", "horizon_days": 1, "managed": False, "scored": True,
                "as_of": pd.date_range(end=NOW + (since - 1) * DAY, periods=days, freq="D"), "realised": realised,
                "rv_forecast": realised * np.exp(size + 0.05 * rng.standard_normal(days)),
            }
        )
        for model, size in miss.items()
    ]  # fmt: skip
    return pd.concat(frames, ignore_index=True)


@pytest.mark.parametrize(
    ("later", "reference", "algorithm", "stored", "status"),
    [
        (0.3, 200, "lightgbm", True, "steady"),
        (0.5, 200, "lightgbm", True, "fading"),
        (0.5, 119, "lightgbm", True, "insufficient_data"),
        (0.5, 200, "har", True, "a baseline serves"),
        (0.5, 200, "lightgbm", False, "its evaluation is not stored"),
    ],
)
def test_an_edge_that_fades_is_a_warning(
    workspace: Workspace, later: float, reference: int, algorithm: str, stored: bool, status: str
) -> None:
    evidence = {"evaluation_id": "e1", "best_baseline": "har"}
    # The training after the next made a second version of the same: it goes on with the watch of the first.
    for day, version in ((0, "1"), (14, "2")):
        write(workspace, "candles", algorithm=algorithm, model_version=version, evidence=evidence, at=NOW + day * DAY)
    workspace.warehouse.set_clock(MarketClock(NOW + 60 * DAY, None, 1.0))
    if stored:
        path = forecasts_path(workspace, "e1")
        path.parent.mkdir(parents=True)
        walk_forward(later, reference, 60).to_parquet(path, index=False)
    found = edge_holds(dg.build_asset_check_context(), workspace)
    assert isinstance(found, dg.AssetCheckResult)
    assert found.severity is dg.AssetCheckSeverity.WARN
    assert found.passed is (status != "fading")
    told = str(found.metadata["edges"].value).splitlines()[-1]
    assert told.startswith(f"volatility_candles_1d | {algorithm} | har | 2026-01-01 | {status}")
    assert ("| 60 |" in told) is (status in ("steady", "fading", "insufficient_data"))
