from datetime import timedelta

import dagster as dg
import pytest

from models.contracts.market import DataMode, Dataset
from orchestration.checks.raw_expectations import as_result, judge, newest_revisions, reach
from orchestration.partitions import Calendar
from orchestration.resources.warehouse_records import QuarantineEntry
from orchestration.resources.workspace import Workspace
from tests.orchestration.assets.test_ingest import MONDAY, NOW, WEEK, candles


def verdict(workspace: Workspace) -> dg.AssetCheckResult:
    rows = newest_revisions(workspace, Dataset.CANDLES, WEEK.start, WEEK.end)
    return as_result(judge(Dataset.CANDLES, rows, DataMode.SIMULATED))


def test_a_wrong_row_fails_the_check_and_is_named(workspace: Workspace) -> None:
    rows = candles("BTC", MONDAY, 24)
    rows.loc[3, "high"] = 0.5
    workspace.warehouse.append(Dataset.CANDLES, rows, "run")
    found = verdict(workspace)
    assert not found.passed
    assert "BTC 2025-12-29 03:00: high 0.5" in str(found.metadata["offenders"].value)


def test_rounding_outside_the_range_is_no_contradiction(workspace: Workspace) -> None:
    rows = candles("BTCBIDR", MONDAY, 24)
    rows[["open", "high", "low", "close"]] = 1.1e9
    rows.loc[3, "high"] = 1.1e9 - 100
    rows.loc[4, "low"] = 1.1e9 + 100
    workspace.warehouse.append(Dataset.CANDLES, rows, "run")
    assert verdict(workspace).passed


@pytest.mark.parametrize("action", ["hold", "flag"])
def test_a_row_in_quarantine_is_dealt_with(workspace: Workspace, action: str) -> None:
    rows = candles("BTC", MONDAY, 24)
    rows.loc[3, "high"] = 0.5
    workspace.warehouse.append(Dataset.CANDLES, rows, "run")
    entry = QuarantineEntry(
        Dataset.CANDLES, "BTC", action, "crossed_range", "high 0.5 is below low 1", NOW, DataMode.SIMULATED, "1h",
        MONDAY + timedelta(hours=3),
    )  # fmt: skip
    workspace.warehouse.quarantine([entry])
    assert verdict(workspace).passed


def test_a_correction_takes_the_place_of_what_it_corrects(workspace: Workspace) -> None:
    wrong = candles("BTC", MONDAY, 24)
    wrong.loc[3, "high"] = 0.5
    right = candles("BTC", MONDAY, 24)
    right["available_at"] += timedelta(hours=5)
    workspace.warehouse.append(Dataset.CANDLES, wrong, "run")
    workspace.warehouse.append(Dataset.CANDLES, right, "run")
    found = verdict(workspace)
    assert found.passed
    assert found.metadata["rows"].value == 24


def test_rows_outside_the_window_are_not_read(workspace: Workspace) -> None:
    rows = candles("BTC", MONDAY - timedelta(days=1), 24)
    rows.loc[3, "high"] = 0.5
    workspace.warehouse.append(Dataset.CANDLES, rows, "run")
    assert verdict(workspace).metadata["rows"].value == 0


def test_the_first_week_is_checked_with_all_the_history_it_brought(workspace: Workspace) -> None:
    rows = candles("BTC", MONDAY - timedelta(days=900), 24)
    rows.loc[3, "high"] = 0.5
    workspace.warehouse.append(Dataset.CANDLES, rows, "run")
    calendar = Calendar(MONDAY.date(), None)
    found = newest_revisions(workspace, Dataset.CANDLES, *reach(WEEK.start, WEEK.end, calendar))
    assert not as_result(judge(Dataset.CANDLES, found, DataMode.SIMULATED)).passed
    later = MONDAY + timedelta(days=14)
    assert reach(later, later + timedelta(days=7), calendar) == (later - timedelta(days=7), later + timedelta(days=7))
