"""Flags, freshness and reconciliation on small tables."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd

from models.contracts.market import COLUMNS, Calendar, DataMode, Dataset, SeriesKind, SeriesSpec
from orchestration.quality.flags import flag_rows
from orchestration.quality.freshness import check_freshness
from orchestration.quality.reconciliation import reconcile_sources
from orchestration.resources.warehouse import Warehouse
from orchestration.settings import DEFAULT_UNIVERSE
from orchestration.sources.interface import Answer
from orchestration.universe import load_universe
from tests.orchestration.quality.rates import MONDAY, daily, frame, spec, weekday

NOW = weekday(100)
HOUR = timedelta(hours=1)


def bars(series: str, prices: list[tuple[str, str, str, str, str]]) -> pd.DataFrame:
    ts = pd.DatetimeIndex([MONDAY + i * HOUR for i in range(len(prices))])
    made = pd.DataFrame(dict.fromkeys(COLUMNS[Dataset.CANDLES]), index=range(len(prices)), dtype=object)
    made[["open", "high", "low", "close", "volume_base"]] = prices
    return made.assign(
        series=series, interval="1h", ts=ts, available_at=ts + HOUR, source="test", provider="test", data_mode="replay"
    )


def flags(warehouse: Warehouse) -> list[tuple[str, str, str]]:
    rows = warehouse.rows("select series, reason, detail from raw.quarantine where action = 'flag' order by reason, id")
    return [(r["series"], r["reason"], r["detail"]) for r in rows]


def test_bars_are_flagged_once_with_their_numbers(warehouse: Warehouse) -> None:
    rows = bars("BTC", [("10", "12", "9", "11", "5"), ("11", "11", "11", "11", "0"), ("10", "12", "9", "13", "5")])
    rows.loc[0, "available_at"] = MONDAY + HOUR / 2
    warehouse.append(Dataset.CANDLES, rows, None)
    assert flag_rows(warehouse, NOW, "r") == {"zero_volume": 1, "close_outside_range": 1, "still_forming": 1}
    assert flag_rows(warehouse, NOW, "r") == {}
    assert flag_rows(warehouse, NOW, "r", full=True) == {}
    assert ("BTC", "close_outside_range", "close 13.0 is outside 9.0 to 12.0") in flags(warehouse)


def test_last_bar_of_a_recording_that_stops_before_the_others(warehouse: Warehouse) -> None:
    usual = ("10", "12", "9", "11", "5")
    for series, hours in (("BTC", 10), ("ETH", 30), ("XLM", 34)):
        warehouse.append(Dataset.CANDLES, bars(series, [usual] * hours), None)
    assert flag_rows(warehouse, NOW, "r") == {"last_bar_may_be_forming": 1}
    assert [f[0] for f in flags(warehouse)] == ["BTC"]


def test_recordings_that_ended_in_their_own_time_are_not_cut_off(warehouse: Warehouse) -> None:
    usual = ("10", "12", "9", "11", "5")
    for series, hours in (("LTC", 10), ("XLM", 10 + 8 * 24), ("BTC:perp", 100), ("ETH:perp", 110)):
        warehouse.append(Dataset.CANDLES, bars(series, [usual] * hours), None)
    assert flag_rows(warehouse, NOW, "r") == {}


def test_two_values_at_once_conflict_but_a_correction_does_not(warehouse: Warehouse) -> None:
    later = {"available_at": weekday(3)}
    said = [("USDNGN:a", "1", {}), ("USDNGN:a", "2", {}), ("USDNGN:b", "1", {}), ("USDNGN:b", "2", later)]
    rows = frame([{"series": name, "ts": weekday(0), "rate": rate} | known for name, rate, known in said])
    warehouse.append(Dataset.FX_RATES, rows, None)
    assert flag_rows(warehouse, NOW, "r") == {"conflicting_duplicate": 2}
    assert {f[0] for f in flags(warehouse)} == {"USDNGN:a"}


def test_a_conflict_that_arrives_later_flags_both(warehouse: Warehouse) -> None:
    warehouse.append(Dataset.FX_RATES, daily("USDNGN:a", [1]), None)
    assert flag_rows(warehouse, NOW, "r") == {}
    warehouse.append(Dataset.FX_RATES, daily("USDNGN:a", [2]), None)
    assert flag_rows(warehouse, NOW, "r") == {"conflicting_duplicate": 2}


def test_adverts_and_ranges_of_rates(warehouse: Warehouse) -> None:
    street = {"kind": "street", "interval": "irregular", "side": "buy", "rate": "12"}
    bob, xof = {"series": "USDTBOB:p2p:buy"} | street, {"series": "USDXOF:test", "open": "611"}
    rows = frame(
        [
            bob | {"ts": weekday(0), "low": "5", "high": "27"},
            bob | {"ts": weekday(1), "low": "11", "high": "13"},
            xof | {"ts": weekday(0), "rate": "602", "high": "611", "low": "611"},
            xof | {"ts": weekday(1), "rate": "611", "high": "610", "low": "612"},
        ]
    )
    warehouse.append(Dataset.FX_RATES, rows, None)
    assert flag_rows(warehouse, NOW, "r") == {
        "absurd_low_advert": 1, "absurd_high_advert": 1, "close_outside_range": 1, "crossed_range": 1,
    }  # fmt: skip
    assert ("USDTBOB:p2p:buy", "absurd_high_advert", "highest advert 27.0 against a median of 12.0") in flags(warehouse)


def test_rows_that_the_blocking_checks_would_refuse_are_marked_first(warehouse: Warehouse) -> None:
    street = {"series": "USDTCLP:p2p:buy", "kind": "street", "interval": "irregular", "side": "buy", "rate": "950"}
    rows = frame(
        [
            street | {"ts": weekday(0), "low": "960", "high": "940"},
            {"series": "USDCLP:bank", "ts": weekday(0), "rate": "900", "bid": "901", "ask": "899"},
            {"series": "USDCLP:bank", "ts": weekday(1), "rate": "900", "bid": "899", "ask": "901"},
            {"series": "USDCLP:feed", "ts": weekday(0), "rate": "900", "low": "910", "high": "890"},  # no open
        ]
    )
    warehouse.append(Dataset.FX_RATES, rows, None)
    paid = pd.DataFrame(dict.fromkeys(COLUMNS[Dataset.FUNDING]), index=range(2), dtype=object).assign(
        series="DOGE:okx", interval="8h", ts=[MONDAY, MONDAY + 8 * HOUR], exchange="okx", funding_rate=["0.5", "-0.03"],
        source="test", provider="test", data_mode="replay", available_at=[MONDAY, MONDAY + 8 * HOUR],
    )  # fmt: skip
    warehouse.append(Dataset.FUNDING, paid, None)
    assert flag_rows(warehouse, NOW, "r") == {"crossed_range": 2, "crossed_quote": 1, "impossible_funding": 1}
    assert flag_rows(warehouse, NOW, "r", full=True) == {}
    held = warehouse.rows("select reason, value from raw.quarantine where action = 'hold'")
    assert held == [{"reason": "impossible_funding", "value": "0.5"}]
    assert ("USDCLP:bank", "crossed_quote", "bid 901.0 is above ask 899.0") in flags(warehouse)


def test_freshness_counts_from_when_a_row_was_known(warehouse: Warehouse) -> None:
    btc = SeriesSpec("BTC", Dataset.CANDLES, SeriesKind.CANDLES, Calendar.ALWAYS, "1h", 3600, 7200, "BTC", "USDT", "t")
    warehouse.upsert_series([btc, spec("USDNGN:a"), spec("USDNGN:gone"), spec("USDNGN:never")], DataMode.REPLAY)
    warehouse.append(Dataset.CANDLES, bars("BTC", [("1", "1", "1", "1", "1")]), None)
    gone = {"series": "USDNGN:gone", "ts": weekday(0), "rate": "1", "source_regime": "delisted"}
    warehouse.append(Dataset.FX_RATES, pd.concat([daily("USDNGN:a", [1]), frame([gone])]), None)
    failed = Answer("fixer", "USDNGN:never", 0, "failed", "quota", "429")
    warehouse.log_ingest(
        Dataset.FX_RATES, [failed], window=(None, NOW), data_mode=DataMode.REPLAY, started_at=NOW, run_id=None
    )

    def stale_at(hours: float) -> dict[str, tuple[int | None, bool, str | None]]:
        found = check_freshness(warehouse, MONDAY + hours * HOUR)
        return {f.series: (f.age_s, f.stale, f.stalled_by) for f in found}

    assert stale_at(3) == {
        "BTC": (7200, False, None),
        "USDNGN:a": (None, True, "nothing new at the source"),  # Monday's rate is known on Tuesday
        "USDNGN:gone": (None, True, "nothing new at the source"),
        "USDNGN:never": (None, True, "fixer: quota"),
    }
    assert stale_at(3 + 1 / 3600)["BTC"] == (7201, True, "nothing new at the source")
    assert stale_at(24)["USDNGN:a"] == (0, False, None)
    assert stale_at(24 * 10)["USDNGN:gone"][1:] == (True, "delisted at the source")
    assert len(warehouse.rows("select * from ops.freshness")) == 4


def test_sources_that_disagree_are_recorded_once(warehouse: Warehouse) -> None:
    names = ["USDNGN:a", "USDNGN:b", "USDKES:a"]
    warehouse.upsert_series([spec(name) for name in names], DataMode.REPLAY)
    for name, rates in zip(names, ([100, 100, 110], [100, 103, 100], [1, 1, 1]), strict=True):
        warehouse.append(Dataset.FX_RATES, daily(name, rates), None)
    assert reconcile_sources(warehouse, NOW) == 1
    assert reconcile_sources(warehouse, NOW) == 0
    assert reconcile_sources(warehouse, NOW, full=True) == 0
    (row,) = warehouse.rows("select day, series_a, series_b, log_difference from ops.reconciliation")
    assert (row["day"], row["series_a"], row["series_b"]) == (weekday(2).date(), "USDNGN:a", "USDNGN:b")
    warehouse.append(Dataset.FX_RATES, daily("USDNGN:b", [50], 1), None)  # a correction
    assert reconcile_sources(warehouse, NOW) == 1


def test_each_pair_has_the_tolerance_that_the_universe_gives_it(warehouse: Warehouse) -> None:
    for pair in ("USDNGN", "USDKES"):
        warehouse.upsert_series([spec(f"{pair}:a"), spec(f"{pair}:b")], DataMode.REPLAY)
        warehouse.append(Dataset.FX_RATES, daily(f"{pair}:a", [100, 100]), None)
        warehouse.append(Dataset.FX_RATES, daily(f"{pair}:b", [103, 107]), None)
    allowed = load_universe(DEFAULT_UNIVERSE).reconciliation.tolerance
    assert reconcile_sources(warehouse, NOW, allowed) == 3
    rows = warehouse.rows("select quote, tolerance from ops.reconciliation order by quote, day")
    assert [(row["quote"], row["tolerance"]) for row in rows] == [("KES", 0.02), ("KES", 0.02), ("NGN", 0.05)]
