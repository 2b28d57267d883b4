from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from models.contracts.market import COLUMNS, Dataset
from orchestration.assets.ingest import failures, narrowed
from orchestration.partitions import Window
from orchestration.resources.workspace import Workspace
from orchestration.sources.interface import Answer

MONDAY = datetime(2025, 12, 29, tzinfo=UTC)
WEEK = Window(MONDAY, MONDAY + timedelta(days=7))
NOW = MONDAY + timedelta(days=3, hours=12)


def candles(series: str, first: datetime, hours: int) -> pd.DataFrame:
    ts = pd.date_range(first, periods=hours, freq="h")
    return pd.DataFrame(
        {
            "series": series, "interval": "1h", "ts": ts, "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0,
            "volume_base": 1.0, "volume_quote": None, "trades": 1, "source": "simulator", "provider": "simulator",
            "data_mode": "simulated", "available_at": ts + pd.Timedelta(hours=1),
        }
    )[list(COLUMNS[Dataset.CANDLES])]  # fmt: skip


@pytest.mark.parametrize(
    ("window", "now", "expected"),
    [
        pytest.param(WEEK, NOW, MONDAY + timedelta(hours=23), id="a-running-week-starts-at-the-oldest-watermark"),
        pytest.param(WEEK, NOW + timedelta(days=7), MONDAY, id="a-closed-week-is-asked-whole"),
        pytest.param(Window(None, WEEK.end), NOW, None, id="all-history-is-asked-whole"),
        pytest.param(
            Window(MONDAY - timedelta(days=7), WEEK.end), NOW, MONDAY - timedelta(days=7), id="a-range-is-asked-whole"
        ),
    ],
)
def test_a_tick_asks_only_for_what_may_be_new(
    workspace: Workspace, window: Window, now: datetime, expected: datetime | None
) -> None:
    workspace.warehouse.append(Dataset.CANDLES, candles("BTC", MONDAY, 48), "run")
    workspace.warehouse.append(Dataset.CANDLES, candles("ETH", MONDAY, 24), "run")
    # Silent since last week: the gap scan's business, it must not drag the window back.
    workspace.warehouse.append(Dataset.CANDLES, candles("XLM", MONDAY - timedelta(days=3), 2), "run")
    found = narrowed(workspace.warehouse, Dataset.CANDLES, window, now)
    assert (found.start, found.end) == (expected, window.end)


def test_a_week_without_rows_is_asked_whole(workspace: Workspace) -> None:
    assert narrowed(workspace.warehouse, Dataset.CANDLES, WEEK, NOW) == WEEK


def test_failures_are_told_in_one_line_each() -> None:
    answers = (
        Answer("binance", "BTC", 5, "ok"),
        Answer("fixer", "USDNGN:official", 0, "failed", "quota", "the month's budget is spent"),
    )
    assert failures(answers) == ["USDNGN:official from fixer: quota: the month's budget is spent"]
