from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from models.contracts.market import COLUMNS, Calendar, DataMode, Dataset, SeriesKind, SeriesSpec
from orchestration.quality.gap_scan import GapScan, scan_gaps
from orchestration.resources.warehouse import Warehouse
from orchestration.sources.interface import Answer, Fetch, Market

START = datetime(2025, 1, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Killed(BaseException):
    """The process dies here."""


class HourlyMarket(Market):
    """Two coins of 2000 hours each; BTC never had hours 50 to 52. May fail or die on its n-th question."""

    mode = DataMode.SIMULATED
    name = "hourly"

    def __init__(self, mode: DataMode = DataMode.SIMULATED) -> None:
        self.mode = mode
        self.questions: list[tuple[str, datetime | None, datetime]] = []
        self.dies_at: int | None = None
        self.outage = False
        self.breaks_off: tuple[int, str] | None = None  # hour at which an answer ends, and the kind of its error
        self.reaches_back_to = 0  # hour before which the plan does not pay

    def series(self) -> Sequence[SeriesSpec]:
        return [
            SeriesSpec(c, Dataset.CANDLES, SeriesKind.CANDLES, Calendar.ALWAYS, "1h", 3600, 7200, c, "USDT", "test")
            for c in ("BTC", "ETH")
        ]

    def history_start(self) -> datetime:
        return START

    def history_end(self) -> datetime:
        return START + 2000 * HOUR

    def rows(self, coin: str) -> pd.DataFrame:
        hours = np.array([h for h in range(2000) if coin != "BTC" or h not in (50, 51, 52)])
        ts = pd.DatetimeIndex([START + int(h) * HOUR for h in hours])
        price = (100 + hours).astype(str)
        frame = pd.DataFrame(dict.fromkeys(COLUMNS[Dataset.CANDLES]), index=range(len(hours)), dtype=object)
        return frame.assign(
            series=coin, interval="1h", ts=ts, open=price, high=price, low=price, close=price, source="test",
            provider="test", data_mode=self.mode.value, available_at=ts + HOUR,
        )  # fmt: skip

    def fetch(
        self,
        dataset: Dataset,
        start: datetime | None,
        end: datetime,
        now: datetime,
        series: Sequence[str] | None = None,
    ) -> Fetch:
        (coin,) = series or ("BTC",)
        self.questions.append((coin, start, end))
        if len(self.questions) == self.dies_at:
            raise Killed
        rows = self.rows(coin)
        chosen = rows[(rows["ts"] >= (start or START)) & (rows["ts"] < end) & (rows["available_at"] <= now)]
        if self.outage:
            return Fetch(chosen[:0], answers=(Answer("test", coin, 0, "failed", "outage"),))
        if self.breaks_off is not None:
            hour, kind = self.breaks_off
            chosen = chosen[chosen["ts"] < START + hour * HOUR]
            return Fetch(chosen, answers=(Answer("test", coin, len(chosen), "partial", kind),))
        if self.reaches_back_to and chosen["ts"].min() < START + self.reaches_back_to * HOUR:
            chosen = chosen[chosen["ts"] >= START + self.reaches_back_to * HOUR]
            return Fetch(chosen, answers=(Answer("test", coin, len(chosen), "partial", "budget"),))
        return Fetch(chosen, answers=(Answer("test", coin, len(chosen), "ok"),))


NOW = HourlyMarket().history_end()
# (coin, first missing hour, hours): windows taken out of what was ingested, one of them over BTC's own outage.
DELETED = [("BTC", 10, 1), ("BTC", 48, 8), ("BTC", 1500, 40), ("ETH", 0, 5), ("ETH", 700, 3), ("ETH", 1990, 10)]


@pytest.fixture(autouse=True)
def catalogue(warehouse: Warehouse) -> None:
    warehouse.upsert_series(HourlyMarket().series(), DataMode.SIMULATED)


def ingest(warehouse: Warehouse, market: HourlyMarket, without: Sequence[tuple[str, int, int]] = ()) -> None:
    for coin in ("BTC", "ETH"):
        rows = market.rows(coin)
        for _, first, hours in [d for d in without if d[0] == coin]:
            low = START + first * HOUR
            rows = rows[(rows["ts"] < low) | (rows["ts"] >= low + hours * HOUR)]
        warehouse.append(Dataset.CANDLES, rows, "ingest")


def contents(warehouse: Warehouse) -> pd.DataFrame:
    return warehouse.read(
        "select series, ts, close, available_at, digest, data_mode, provider from raw.candles order by series, ts"
    )


def ledger(warehouse: Warehouse) -> list[tuple[str, int, int, str]]:
    rows = warehouse.rows("select series, gap_start, missing_slots, status from ops.gaps order by series, gap_start")
    return [(r["series"], (r["gap_start"] - START) // HOUR, r["missing_slots"], r["status"]) for r in rows]


def summary(scans: list[GapScan]) -> dict[str, tuple[int, int, int]]:
    return {s.series: (s.gaps_found, s.gaps_fixed, s.rows_added) for s in scans}


@pytest.mark.parametrize("mode", [DataMode.SIMULATED, DataMode.LIVE])
def test_deleted_windows_come_back_and_only_those(warehouse: Warehouse, mode: DataMode) -> None:
    market = HourlyMarket(mode)
    ingest(warehouse, market, DELETED)
    scans = scan_gaps(warehouse, market, NOW, "scan")
    assert summary(scans) == {"BTC": (3, 2, 1 + 5 + 40), "ETH": (3, 3, 18)}
    assert ledger(warehouse) == [
        ("BTC", 10, 1, "fixed"),
        ("BTC", 48, 2, "fixed"), ("BTC", 50, 3, "absent_at_source"), ("BTC", 53, 3, "fixed"),
        ("BTC", 1500, 40, "fixed"),
        ("ETH", 0, 5, "fixed"), ("ETH", 700, 3, "fixed"), ("ETH", 1990, 10, "fixed"),
    ]  # fmt: skip
    restored = contents(warehouse)
    expected = pd.concat([market.rows("BTC"), market.rows("ETH")])
    assert restored["ts"].tolist() == expected["ts"].tolist()
    assert restored["close"].tolist() == expected["close"].astype(float).tolist()
    assert warehouse.append(Dataset.CANDLES, market.rows("ETH"), "again") == 0


def test_second_scan_asks_nothing_and_adds_nothing(warehouse: Warehouse) -> None:
    market = HourlyMarket()
    ingest(warehouse, market, DELETED)
    scan_gaps(warehouse, market, NOW, "first")
    before, ledger_before = contents(warehouse), ledger(warehouse)
    market.questions.clear()
    assert scan_gaps(warehouse, market, NOW, "second") == []
    assert market.questions == []
    full = scan_gaps(warehouse, market, NOW, "third", full=True)
    assert summary(full) == {"BTC": (1, 0, 0), "ETH": (0, 0, 0)}
    assert ledger(warehouse) == ledger_before
    pd.testing.assert_frame_equal(contents(warehouse), before)


@pytest.mark.parametrize("dies_at", range(1, 8))
def test_killed_scan_resumes(warehouse: Warehouse, dies_at: int) -> None:
    market = HourlyMarket(DataMode.LIVE)  # one question a gap: the most places to die in
    ingest(warehouse, market, DELETED)
    market.dies_at = dies_at
    with pytest.raises(Killed):
        scan_gaps(warehouse, market, NOW, "killed")
    market.dies_at = None
    scan_gaps(warehouse, market, NOW, "resumed")
    assert len(contents(warehouse)) == 2000 * 2 - 3
    assert [g for g in ledger(warehouse) if g[3] != "fixed"] == [("BTC", 50, 3, "absent_at_source")]
    assert sum(g[2] for g in ledger(warehouse) if g[3] == "fixed") == 1 + 5 + 40 + 18
    assert scan_gaps(warehouse, market, NOW, "again") == []


def test_outage_stays_open_and_is_asked_again(warehouse: Warehouse) -> None:
    market = HourlyMarket()
    ingest(warehouse, market, [("ETH", 700, 3)])
    market.outage = True
    assert summary(scan_gaps(warehouse, market, NOW, "out"))["ETH"] == (1, 0, 0)
    assert ("ETH", 700, 3, "open") in ledger(warehouse)
    market.outage = False
    assert summary(scan_gaps(warehouse, market, NOW, "back")) == {"BTC": (1, 0, 0), "ETH": (1, 1, 3)}
    assert ("ETH", 700, 3, "fixed") in ledger(warehouse)


@pytest.mark.parametrize(
    ("kind", "status"), [("quota", "open"), ("budget", "open"), ("outage", "open"), ("no_history", "absent_at_source")]
)
def test_an_answer_that_breaks_off_does_not_lose_the_rest(warehouse: Warehouse, kind: str, status: str) -> None:
    market = HourlyMarket()
    ingest(warehouse, market, [("ETH", 700, 3), ("ETH", 710, 2)])
    market.breaks_off = 702, kind
    scan_gaps(warehouse, market, NOW, "half", series=["ETH"])
    assert ledger(warehouse) == [("ETH", 700, 2, "fixed"), ("ETH", 702, 1, status), ("ETH", 710, 2, status)]
    market.breaks_off = None
    scan_gaps(warehouse, market, NOW, "whole", series=["ETH"])
    assert {g[3] for g in ledger(warehouse)} == {"fixed", status} - {"open"}


def test_history_that_a_small_plan_owes_comes_with_the_next_month(warehouse: Warehouse) -> None:
    market = HourlyMarket(DataMode.LIVE)
    rows = market.rows("ETH")
    warehouse.append(Dataset.CANDLES, rows[rows["ts"] >= START + 1500 * HOUR], None)
    for reach, missing in ((1500, 1500), (800, 800), (0, 0)):
        market.reaches_back_to = reach
        scan_gaps(warehouse, market, NOW, "month", series=["ETH"])
        assert sum(g[2] for g in ledger(warehouse) if g[3] == "open") == missing
    assert (contents(warehouse)["series"] == "ETH").sum() == 2000


def test_looking_without_asking(warehouse: Warehouse) -> None:
    market = HourlyMarket()
    ingest(warehouse, market, [("ETH", 700, 3)])
    assert summary(scan_gaps(warehouse, market, NOW, "look", fill=False))["ETH"] == (1, 0, 0)
    assert market.questions == []
    assert ("ETH", 700, 3, "open") in ledger(warehouse)


def test_only_what_came_since_is_scanned(warehouse: Warehouse) -> None:
    market = HourlyMarket()
    early = START + 1000 * HOUR
    rows = market.rows("ETH")
    warehouse.append(Dataset.CANDLES, rows[rows["ts"] < early - HOUR], None)
    scan_gaps(warehouse, market, early, "one", series=["ETH"])
    warehouse.append(Dataset.CANDLES, rows[rows["ts"] >= early + 5 * HOUR], None)
    (scan,) = scan_gaps(warehouse, market, NOW, "two", series=["ETH"])
    assert (scan.scanned_from, scan.gaps_found, scan.gaps_fixed, scan.rows_added) == (early - HOUR, 1, 1, 5)


def test_series_that_was_never_ingested(warehouse: Warehouse) -> None:
    market = HourlyMarket()
    assert summary(scan_gaps(warehouse, market, NOW, "r"))["BTC"] == (2, 1, 1997)
    assert [g for g in ledger(warehouse) if g[0] == "BTC"] == [
        ("BTC", 0, 1997, "fixed"),
        ("BTC", 50, 3, "absent_at_source"),
    ]
