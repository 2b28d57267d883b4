"""When an evaluation is refused, that it is judged once, and which scores knew too much."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from models.contracts.market import Dataset, SeriesKind
from models.validation.leaks import Finding
from orchestration import leak_verdicts
from orchestration.assets.evaluation import Work
from orchestration.checks import leak_checks
from orchestration.checks.leak_checks import known_when_issued, no_leak
from orchestration.leak_verdicts import judge, seed_of, verdict
from orchestration.resources.workspace import Workspace
from tests.models.validation.conftest import simulated
from tests.orchestration.conftest import NOW

CLEAN = Finding("cut", "features", 100, 0)
LEAK = Finding("purge", "log_har", 3, 2, "fitted at 2025-01-01: moves")
UNPROBED = Finding("all", "candles 1 d", 0, 0, "no series has 1030 rows yet")


def _evaluated(workspace: Workspace, evaluation: str, panel: str = "candles") -> None:
    row = {
        "evaluation_id": evaluation, "panel": panel, "horizon_days": 1, "model": "ewma", "series": "*", "rows": 0,
        "data_hash": "d", "code_hash": "c", "data_mode": "simulated",
    }  # fmt: skip
    workspace.warehouse.append_table("ml.evaluations", [row])


@pytest.mark.parametrize(
    ("findings", "passed", "told"),
    [
        ([[CLEAN], [CLEAN, CLEAN]], True, ""),
        ([[CLEAN], [CLEAN, LEAK]], False, "second: purge, log_har: 2 of 3, first fitted at 2025-01-01: moves"),
        ([[UNPROBED]], True, ""),
        ([], True, ""),
    ],
    ids=["clean", "leak", "too-young", "nothing-evaluated"],
)
def test_a_leak_in_any_of_the_newest_evaluations_blocks(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, findings: list[list[Finding]], passed: bool, told: str
) -> None:
    said = dict(zip(("first", "second"), findings, strict=False))
    for evaluation, panel in zip(said, ("candles", "ranges"), strict=False):
        _evaluated(workspace, evaluation, panel)
    works = [Work(SeriesKind.CANDLES, 1, pd.DataFrame(), name, "code") for name in said]
    monkeypatch.setattr(Work, "id", property(lambda work: work.data))
    monkeypatch.setattr(leak_checks, "works", lambda workspace: iter(works))
    monkeypatch.setattr(leak_checks, "is_stored", lambda workspace, evaluation: True)
    monkeypatch.setattr(leak_verdicts, "examine", lambda work, *rest: said[work.data])
    found = no_leak(dg.build_asset_check_context(), workspace)
    assert isinstance(found, dg.AssetCheckResult)
    assert found.passed is passed
    assert found.metadata["offenders"].value == told
    assert found.metadata["evaluations"].value == len(said)

    def nobody(*arguments: Any) -> None:
        raise AssertionError("a verdict that is stored is not asked for again")

    monkeypatch.setattr(leak_checks, "works", nobody if said else lambda workspace: iter(()))
    assert no_leak(dg.build_asset_check_context(), workspace).passed is passed


def test_the_verdict_on_an_evaluation_is_made_of_its_own_rows_and_kept(workspace: Workspace) -> None:
    work = Work(SeriesKind.VAULT, 1, simulated(SeriesKind.VAULT, series=1), "data", "code")
    assert verdict(workspace, work.id) is None
    (made,) = judge(workspace, work)
    assert (made.passed, made.probed) == (True, True)
    assert made.cases > 10_000
    assert verdict(workspace, work.id) == made
    assert judge(workspace, work) == [made]


def test_the_seed_belongs_to_the_evaluation() -> None:
    assert seed_of("candles-1d-0a") == seed_of("candles-1d-0a") != seed_of("candles-1d-0b")


def _score(subject: str, **values: Any) -> dict[str, Any]:
    return {
        "subject": subject, "subject_kind": "series", "horizon_days": 1, "as_of": NOW, "issued_at": NOW,
        "valid_until": NOW + timedelta(hours=1), "status": "ok", "reasons": [], "score": 50.0, "p_spike": 0.1,
        "rv_forecast": 1e-4, "model_name": "m", "model_version": "1", "data_mode": "simulated", "share_imputed": 0.0,
        "share_stale": 0.0, "degraded": False, "drivers": [],
    } | values  # fmt: skip


def _bar(workspace: Workspace, hours_before: int, known: timedelta) -> None:
    bar = {
        "series": "BTC", "interval": "1h", "ts": NOW - timedelta(hours=hours_before), "open": 1, "high": 1, "low": 1,
        "close": 1, "volume_base": 1, "volume_quote": 1, "trades": 1, "source": "s", "provider": "p",
        "data_mode": "simulated", "available_at": NOW + known,
    }  # fmt: skip
    workspace.warehouse.append(Dataset.CANDLES, pd.DataFrame([bar]), None)


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("score", "known", "bar_first", "told"),
    [
        ({}, timedelta(0), True, ""),
        ({"as_of": NOW + HOUR}, timedelta(0), True, "BTC 2026-01-01 13:00:00+00 issued 2026-01-01 12:00:00+00: its"),
        ({}, HOUR, True, "BTC 2026-01-01 12:00:00+00 issued 2026-01-01 12:00:00+00: held a row known 2026-01-01 13"),
        ({}, HOUR, False, ""),
    ],
    ids=["in-time", "closed-after-the-issue", "row-from-the-future", "row-that-came-later"],
)
def test_a_score_may_rest_only_on_what_was_known_when_it_was_issued(
    workspace: Workspace, score: dict[str, Any], known: timedelta, bar_first: bool, told: str
) -> None:
    house = workspace.warehouse
    if bar_first:
        _bar(workspace, 5, known)
    house.append_table("risk.scores", [_score("BTC", **score), _score("vault:mixed", subject_kind="vault")])
    if not bar_first:
        _bar(workspace, 5, known)
    found = known_when_issued(dg.build_asset_check_context(), workspace)
    assert isinstance(found, dg.AssetCheckResult)
    assert found.passed is (told == "")
    assert told in found.metadata["offenders"].value
    assert found.metadata["rows"].value == 2


@pytest.mark.parametrize(
    ("promoted", "passed"),
    [(-HOUR, True), (timedelta(0), True), (HOUR, False), (None, False)],
    ids=["before", "then", "after", "never"],
)
def test_a_prediction_may_come_only_from_a_model_that_was_promoted(
    workspace: Workspace, promoted: timedelta | None, passed: bool
) -> None:
    house = workspace.warehouse
    if promoted is not None:
        row = {
            "panel": "candles", "horizon_days": 1, "model_name": "m", "model_version": "1", "algorithm": "ewma",
            "replaced_version": None, "reason": "r", "evidence": {}, "promoted_by": "gate",
            "promoted_at": NOW + promoted, "run_id": None,
        }  # fmt: skip
        house.append_table("ml.promotions", [row], conflict=None)
    prediction = {
        "series": "BTC", "horizon_days": 1, "as_of": NOW, "issued_at": NOW, "model_name": "m", "model_version": "1",
        "rv_forecast": 1e-4, "data_mode": "simulated",
    }  # fmt: skip
    house.append_table("ml.predictions", [prediction])
    found = known_when_issued(dg.build_asset_check_context(), workspace)
    assert found.passed is passed
