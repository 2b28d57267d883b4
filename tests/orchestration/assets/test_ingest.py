from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from models.contracts.market import COLUMNS, Dataset
from orchestration.assets.ingest import Question, ask, failures, questions
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
    ("window", "now"),
    [
        pytest.param(WEEK, NOW + timedelta(days=7), id="a-closed-week"),
        pytest.param(Window(None, WEEK.end), NOW, id="all-history"),
        pytest.param(Window(MONDAY - timedelta(days=7), WEEK.end), NOW, id="a-range"),
    ],
)
def test_what_is_over_is_asked_whole(workspace: Workspace, window: Window, now: datetime) -> None:
    workspace.warehouse.append(Dataset.CANDLES, candles("BTC", MONDAY, 48), "run")
    assert questions(workspace.warehouse, Dataset.CANDLES, window, now, ["BTC"]) == [Question(window)]


def test_a_tick_asks_each_series_only_for_what_may_be_new(workspace: Workspace) -> None:
    workspace.warehouse.append(Dataset.CANDLES, candles("BTC", MONDAY, 48), "run")
    workspace.warehouse.append(Dataset.CANDLES, candles("XLM", MONDAY, 48), "run")
    workspace.warehouse.append(Dataset.CANDLES, candles("ETH", MONDAY, 24), "run")
    # In the last hours of the week before: they belong to no week that is asked again.
    workspace.warehouse.append(Dataset.CANDLES, candles("LTC", MONDAY - timedelta(hours=5), 2), "run")
    # Long silent: the gap scan's business, it drags nobody back.
    workspace.warehouse.append(Dataset.CANDLES, candles("ADA", MONDAY - timedelta(days=30), 2), "run")
    found = questions(
        workspace.warehouse, Dataset.CANDLES, WEEK, NOW, ["BTC", "ETH", "XLM", "LTC", "ADA", "NEW", "BTC"]
    )
    assert [(q.window.start, q.series) for q in found] == [
        (MONDAY - timedelta(hours=4), ("LTC",)),
        (MONDAY + timedelta(hours=23), ("ETH",)),
        (MONDAY + timedelta(hours=47), ("BTC", "XLM", "ADA", "NEW")),
    ]
    assert {q.window.end for q in found} == {WEEK.end}


def test_a_week_without_rows_is_asked_whole(workspace: Workspace) -> None:
    assert questions(workspace.warehouse, Dataset.CANDLES, WEEK, NOW, ["BTC"]) == [Question(WEEK)]


@pytest.mark.parametrize("dataset", [Dataset.FX_RATES, Dataset.CANDLES])
def test_ticks_over_the_turn_of_a_week_lose_no_row(workspace: Workspace, dataset: Dataset) -> None:
    """Street adverts have no slots, so that no gap scan would bring back what two weeks leave between them."""
    market, turn = workspace.market, datetime(2025, 12, 29, tzinfo=UTC)
    offered = [spec.id for spec in market.series() if spec.dataset is dataset]
    for now in (turn - timedelta(hours=3), turn + timedelta(hours=2), turn + timedelta(hours=5)):
        monday = datetime.combine(now.date() - timedelta(days=now.weekday()), datetime.min.time(), UTC)
        week = Window(monday, monday + timedelta(days=7))
        for asked in questions(workspace.warehouse, dataset, week, now, offered):
            ask(workspace, dataset, asked, now, "tick")
    stored = workspace.warehouse.read(f"select distinct series, ts from raw.{dataset.value} where ts >= '2025-12-28'")
    played = market.fetch(dataset, turn - timedelta(days=1), now, now).frame
    assert set(zip(stored["series"], stored["ts"], strict=True)) == set(
        zip(played["series"], played["ts"], strict=True)
    )


def test_failures_are_told_in_one_line_each() -> None:
    answers = (
        Answer("binance", "BTC", 5, "ok"),
        Answer("fixer", "USDNGN:official", 0, "failed", "quota", "the month's budget is spent"),
    )
    assert failures(answers) == ["USDNGN:official from fixer: quota: the month's budget is spent"]
