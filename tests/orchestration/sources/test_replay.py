from __future__ import annotations

import gzip
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.contracts.market import COLUMNS, DataMode, Dataset, SeriesKind
from orchestration.settings import DEFAULT_UNIVERSE
from orchestration.sources.interface import Fetch
from orchestration.sources.replay import ReplayError, ReplayMarket
from orchestration.sources.replay_tables import candle_pair, futures_coin
from orchestration.sources.replay_times import nominal_date
from orchestration.universe import load_universe

UNIVERSE = load_universe(DEFAULT_UNIVERSE)
LATE = datetime(2030, 1, 1, tzinfo=UTC)


def folder(tmp: Path, **files: str) -> Path:
    """Files by name with `__` for a slash; lines as given."""
    for name, text in files.items():
        path = tmp / f"{name.replace('__', '/')}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.strip().replace(" ", "") + "\n", encoding="utf-8")
    return tmp


def everything(market: ReplayMarket, dataset: Dataset) -> Fetch:
    return market.fetch(dataset, None, LATE, LATE)


BARS = """
ts,open,high,low,close,volume_base,volume_quote,trades,source
2020-01-01T00:00:00Z,7189.43,7239.740,7170.15,7221.65,12055.759,,,a
2020-01-01T01:00:00Z,7221.65,7239.740,7170.15,7221.80,0,,12.0,b
"""
DAILY = """
ts,base,quote,rate,bid,ask,source
2020-01-01,USD,NGN,361.10,361,362,yahoo
2020-01-02,USD,NGN,361.20,,,yahoo
2020-01-03,USD,NGN,361.30,,,yahoo
2020-01-02,USD,NGN,306,,,cbn
2020-01-02,USD,NGN,307,,,cbn
"""
OHLC = """
ts,base,quote,open,high,low,close,source
2020-01-01,USD,NGN,361,362,360,361.1,yahoo
2020-01-02,USD,NGN,361,362,360,361.25,yahoo
"""
FUNDING = """
ts,exchange,symbol,funding_rate,source
2020-01-01T00:00:00.007000Z,binance,BTCUSDT,-0.0001,a
2020-01-01T08:00:00.000000Z,binance,BTCUSDT,0.0001,a
2020-01-01T16:00:00.000000Z,binance,BTCUSDT,0,a
2020-01-01T16:00:00Z,ftx,BTC-PERP,0,a
2020-01-01T17:00:00Z,ftx,BTC-PERP,0,a
"""


def test_bars_keep_their_digits_and_are_known_at_their_close(tmp_path: Path) -> None:
    market = ReplayMarket(folder(tmp_path, candles_1h__BTC=BARS), UNIVERSE)
    frame = everything(market, Dataset.CANDLES).frame
    assert tuple(frame.columns) == COLUMNS[Dataset.CANDLES]
    assert frame["high"].tolist() == ["7239.740", "7239.740"]
    assert frame["close"].tolist() == ["7221.65", "7221.80"]
    assert frame["trades"].tolist()[1] == "12"
    assert frame["volume_quote"].isna().all()
    assert frame["source"].tolist() == ["a", "b"]
    assert set(frame["provider"]) == {"replay"}
    assert set(frame["data_mode"]) == {DataMode.REPLAY.value}
    assert (frame["available_at"] - frame["ts"] == timedelta(hours=1)).all()


@pytest.mark.parametrize(
    ("file", "series", "interval", "pair", "scored"),
    [
        ("candles_1h__BTC", "BTC", "1h", ("BTC", "USDT"), True),
        ("candles_1h_perp__BTC", "BTC:perp", "1h", ("BTC", "USDT"), False),
        ("candles_4h_perp__DOGE", "DOGE:perp", "4h", ("DOGE", "USDT"), False),
        ("candles_1d__BTC", "BTC", "1d", ("BTC", "USDT"), False),
        ("candles_1m_stress__USDTBIDR", "USDTBIDR:stress", "1m", ("USDT", "BIDR"), False),
        ("candles_1h_ngn__BTCNGN", "BTCNGN:ngn", "1h", ("BTC", "NGN"), False),
    ],
)
def test_candle_folders_name_the_series(
    tmp_path: Path, file: str, series: str, interval: str, pair: tuple[str, str], scored: bool
) -> None:
    market = ReplayMarket(folder(tmp_path, **{file: BARS}), UNIVERSE)
    (spec,) = market.series()
    assert (spec.id, spec.interval, (spec.base, spec.quote), spec.scored) == (series, interval, pair, scored)
    assert spec.kind is SeriesKind.CANDLES
    frame = everything(market, Dataset.CANDLES).frame
    assert (frame["available_at"] - frame["ts"] == timedelta(seconds=spec.publication_lag_s)).all()


def test_a_close_said_twice_is_one_row_and_a_different_one_a_revision(tmp_path: Path) -> None:
    market = ReplayMarket(folder(tmp_path, fx_daily=DAILY, fx_daily_ohlc=OHLC), UNIVERSE)
    frame = everything(market, Dataset.FX_RATES).frame
    rows = list(frame[["series", "rate", "high"]].fillna("").itertuples(index=False, name=None))
    assert rows == [
        ("USDNGN:yahoo", "361.1", "362"),
        ("USDNGN:yahoo", "361.20", ""),
        ("USDNGN:cbn", "306", ""),
        ("USDNGN:cbn", "307", ""),
        ("USDNGN:yahoo", "361.25", "362"),
        ("USDNGN:yahoo", "361.30", ""),
    ]
    assert set(frame["kind"]) == {"official"}
    assert set(frame["source_regime"]) == {"free"}
    assert {s.id: s.kind for s in market.series()} == {
        "USDNGN:yahoo": SeriesKind.RANGES,
        "USDNGN:cbn": SeriesKind.FIXINGS,
    }


def test_hourly_rates_are_known_when_they_were_saved(tmp_path: Path) -> None:
    text = """
    ts,base,quote,rate,committed_at,source
    2020-01-01T08:27:44Z,USD,NGN,361.1,2020-01-01T09:20:14Z,git
    2020-01-01T09:27:44Z,USD,NGN,361.1,,git
    2020-01-01T10:27:44Z,USD,NGN,361.1,2020-01-01T10:00:00Z,git
    """
    frame = everything(ReplayMarket(folder(tmp_path, fx_hourly=text), UNIVERSE), Dataset.FX_RATES).frame
    known = frame["available_at"].dt.strftime("%H:%M:%S").tolist()
    assert known == ["09:20:14", "10:27:44", "10:27:44"]
    assert set(frame["interval"]) == {"1h"}


def test_street_rates_keep_market_side_and_regime(tmp_path: Path) -> None:
    text = """
    ts,base,quote,market,side,rate,low,high,vwap,mode_price,n_offers,tradable_base,hhi,source,source_regime
    2020-01-01T08:27:44Z,USDT,BOB,p2p,buy,12.62,5,27,13.46,12.57,193,804054.39,2.27,m,capped
    2020-01-01T08:27:44Z,USDT,BOB,p2p,sell,12.05,,,,,,,,m,
    2020-01-01T08:27:44Z,USD,ARS,blue,mid,63,,,,,,,,m,
    2020-01-01T08:27:44Z,USD,ARS,blue,both,63,,,,,,,,m,
    2020-01-01T08:27:44Z,USD,ARS,blue,mid,63,,,,,,,,m,pegged
    """
    fetched = everything(ReplayMarket(folder(tmp_path, fx_parallel=text), UNIVERSE), Dataset.FX_RATES)
    frame = fetched.frame
    assert frame["series"].tolist() == ["USDTBOB:p2p:buy", "USDTBOB:p2p:sell", "USDARS:blue"]
    assert frame["source_regime"].tolist() == ["capped", "free", "free"]
    assert frame.loc[0, ["low", "high", "vwap", "n_offers", "depth_base"]].tolist() == [
        "5", "27", "13.46", "193", "804054.39"
    ]  # fmt: skip
    assert [r.reason for r in fetched.rejects] == ["schema", "schema"]


@pytest.mark.parametrize(
    ("days", "calendar", "max_age_days"),
    [
        ([d for d in range(29) if d % 7 < 5], "fx_week", 3),
        (range(29), "always", 1),
        ([d for d in range(29) if d % 7 < 5 or d == 26], "always", 1),  # one Saturday
        ([d for d in range(26) if d % 7 < 5], "always", 1),  # too short to tell
    ],
)
def test_street_rates_of_business_days_keep_the_week(
    tmp_path: Path, days: Sequence[int], calendar: str, max_age_days: int
) -> None:
    monday = datetime(2020, 1, 6, tzinfo=UTC)
    rows = "".join(f"{monday + timedelta(days=d):%Y-%m-%d},USD,ARS,blue,mid,63,m\n" for d in days)
    text = "ts,base,quote,market,side,rate,source\n" + rows
    (spec,) = ReplayMarket(folder(tmp_path, fx_parallel=text), UNIVERSE).series()
    assert (spec.kind, spec.interval) == (SeriesKind.STREET, "irregular")
    assert (spec.calendar, spec.max_age_s) == (calendar, max_age_days * 86400)


def test_futures_symbols_and_their_interval(tmp_path: Path) -> None:
    text = "ts,exchange,symbol,interval,oi_base,oi_usd\n2020-01-01T00:00:00Z,binance,ETHUSDT,4h,,5\n"
    text += "2020-01-01T00:00:00Z,binance,ETHUSDT,4h,,\n2020-01-01T00:00:00Z,binance,ETHUSDT,often,1,1\n"
    market = ReplayMarket(folder(tmp_path, funding=FUNDING, open_interest=text), UNIVERSE)
    assert [(s.id, s.interval, s.dataset) for s in market.series()] == [
        ("BTC:binance", "8h", Dataset.FUNDING),
        ("BTC:ftx", "1h", Dataset.FUNDING),
        ("ETH:binance", "4h", Dataset.OPEN_INTEREST),
    ]
    interest = everything(market, Dataset.OPEN_INTEREST)
    assert interest.frame["oi_usd"].tolist() == ["5"]
    assert [r.reason for r in interest.rejects] == ["not_a_number", "schema"]
    funding = everything(market, Dataset.FUNDING).frame
    assert funding["funding_rate"].tolist()[0] == "-0.0001"
    assert funding["ts"].iloc[0].microsecond == 7000, "what the exchange wrote is kept"


@pytest.mark.parametrize(
    ("symbol", "coin"),
    [("BTCUSDT", "BTC"), ("BTC-PERP", "BTC"), ("BTC-USDT-SWAP", "BTC"), ("BTCUSD_PERP", "BTC"), ("xlmusdt", "XLM"),
     ("BTC/USDT:USDT", "BTC"), ("ETH", "ETH")],
)  # fmt: skip
def test_futures_coin(symbol: str, coin: str) -> None:
    assert futures_coin(symbol) == coin


def test_candle_pair_of_a_coin_that_is_a_quote() -> None:
    assert candle_pair("USDT", UNIVERSE.replay) == ("USDT", "USDT")


def test_vault_snapshots(tmp_path: Path) -> None:
    text = "ts,vault_id,ledger,pps,apy_7d,source\n2020-01-01T00:00:00Z,CCA,59368629,1.0451097789542776,,s\n"
    market = ReplayMarket(folder(tmp_path, vault_pps=text), UNIVERSE)
    frame = everything(market, Dataset.VAULT_SNAPSHOTS).frame
    assert frame.loc[0, ["series", "interval", "ledger", "share_price"]].tolist() == [
        "vault:CCA", "irregular", "59368629", "1.0451097789542776"
    ]  # fmt: skip
    (spec,) = market.series()
    assert (spec.kind, spec.scored) == (SeriesKind.VAULT, False)


@pytest.mark.parametrize(
    ("cells", "reason", "detail"),
    [
        ("2011-09-31,USD,NGN,1,,,s", "impossible_date", "date"),
        ("31/12/2011,USD,NGN,1,,,s", "impossible_date", "date"),
        (",USD,NGN,1,,,s", "impossible_date", "date"),
        ("2020-01-01,USD,NGN,,,,s", "not_a_number", "rate is missing"),
        ("2020-01-01,USD,NGN,nan,,,s", "not_a_number", "rate is missing"),
        ("2020-01-01,USD,NGN,abc,,,s", "not_a_number", "rate is abc"),
        ("2020-01-01,USD,NGN,inf,,,s", "not_a_number", "rate is inf"),
        ("2020-01-01,USD,NGN,1e999,,,s", "not_a_number", "rate is 1e999"),
        ("2020-01-01,USD,NGN,0.000,,,s", "not_positive", "rate is 0.000"),
        ("2020-01-01,USD,NGN,-5,,,s", "not_positive", "rate is -5"),
        ("2020-01-01,USD,NGN,5,x,,s", "not_a_number", "bid is x"),
        ("2020-01-01,,NGN,5,,,s", "schema", "series is missing"),
        ("2020-01-01,USD,NGN,5,,", "schema", "wrong number of cells"),
        ("2020-01-01,USD,NGN,5,,,s,9", "schema", "wrong number of cells"),
    ],
)
def test_a_row_that_cannot_be_one_is_rejected_with_its_payload(
    tmp_path: Path, cells: str, reason: str, detail: str
) -> None:
    good = "2020-01-02,USD,NGN,1.5e2,,,s"
    market = ReplayMarket(folder(tmp_path, fx_daily=f"ts,base,quote,rate,bid,ask,source\n{cells}\n{good}"), UNIVERSE)
    fetched = everything(market, Dataset.FX_RATES)
    assert fetched.frame["rate"].tolist() == ["1.5e2"]
    (reject,) = fetched.rejects
    assert (reject.dataset, reject.reason) == (Dataset.FX_RATES, reason)
    assert detail in reject.detail
    assert reject.payload["file"] == "fx_daily.csv"
    assert reject.payload.get("line") == cells or reject.payload.get("quote") == "NGN"


@pytest.mark.parametrize(
    ("cells", "reason", "detail"),
    [
        ("2020-01-01T02:00:00Z,1,2,1,1,-5,,,s", "negative", "volume_base is -5"),
        ("2020-01-01T02:00:00Z,1,2,1,1,1e20,,,s", "not_a_number", "volume_base is 1e20"),
        ("2020-01-01T02:00:00Z,1,2,1,1,5,,,s\0", "schema", "source holds a zero byte"),
        ("2020-01-01T02:17:00Z,1,2,1,1,5,,,s", "impossible_date", "does not open on its grid"),
        ("1970-01-01T00:00:00Z,1,2,1,1,5,,,s", "impossible_date", "does not exist"),
        ("0001-01-01T00:00:00Z,1,2,1,1,5,,,s", "impossible_date", "does not exist"),
        ("9999-12-31T23:00:00Z,1,2,1,1,5,,,s", "impossible_date", "does not exist"),
        ("2029-01-01T00:00:00Z,1,2,1,1,5,,,s", "impossible_date", "does not exist"),
        ("\0\0\0", "schema", "wrong number of cells"),
    ],
)
def test_a_bar_that_cannot_be_one_neither_plays_nor_moves_the_clock(
    tmp_path: Path, cells: str, reason: str, detail: str
) -> None:
    files = folder(tmp_path, candles_1h__BTC=f"{BARS.strip()}\n{cells}")
    market = ReplayMarket(files, UNIVERSE, today=datetime(2026, 1, 1, tzinfo=UTC))
    fetched = everything(market, Dataset.CANDLES)
    assert len(fetched.frame) == 2
    assert [(r.reason, detail in r.detail) for r in fetched.rejects] == [(reason, True)]
    seen = market.fetch(Dataset.CANDLES, None, market.history_end() + timedelta(days=7), market.history_end())
    assert len(seen.rejects) == (0 if "T02:" in cells else 1)  # reported as soon as its moment has come
    assert "\0" not in str(fetched.rejects[0].payload.values())
    assert (market.history_start().year, market.history_end()) == (2020, datetime(2020, 1, 1, 2, tzinfo=UTC))


def test_a_recording_that_goes_on_into_the_future_is_played(tmp_path: Path) -> None:
    market = ReplayMarket(folder(tmp_path, candles_1h__BTC=BARS), UNIVERSE, today=datetime(2019, 12, 31, tzinfo=UTC))
    assert len(everything(market, Dataset.CANDLES).frame) == 2


def test_a_saving_time_of_another_age_gives_way_to_the_usual_lag(tmp_path: Path) -> None:
    hour = "ts,base,quote,rate,committed_at,source\n2012-01-01T00:00:00Z,USD,NGN,160,9999-12-31T23:59:59Z,s\n"
    market = ReplayMarket(folder(tmp_path, fx_hourly=hour), UNIVERSE)
    assert market.history_end() == datetime(2012, 1, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "why"),
    [("ts,open,high,low,close", "headers only"), ("ts,open,high,low,close\n1,1,1,1,1", "1 rows refused, first BTC")],
)
def test_a_folder_without_a_row_says_why(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ReplayError, match=why):
        ReplayMarket(folder(tmp_path, candles_1h__BTC=text), UNIVERSE).history_end()


def test_rows_with_impossible_dates_of_their_own_file(tmp_path: Path) -> None:
    bad = "raw_date,base,quote,rate,source\n2011-09-31,USD,AED,3.67,git\n"
    market = ReplayMarket(folder(tmp_path, fx_daily=DAILY, fx_daily_bad_dates=bad), UNIVERSE)
    (reject,) = everything(market, Dataset.FX_RATES).rejects
    assert (reject.series, reject.reason, reject.payload["raw_date"]) == (
        "USDAED:git", "impossible_date", "2011-09-31"
    )  # fmt: skip
    first_of_october = datetime(2011, 10, 1, tzinfo=UTC)
    for start, end, count in [(None, first_of_october, 0), (first_of_october, LATE, 1)]:
        assert len(market.fetch(Dataset.FX_RATES, start, end, LATE).rejects) == count


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2011-09-31", "2011-10-01"), ("x 2011-02-30,y", "2011-03-02"), ("2011-13-01", "1970-01-01"), ("", "1970-01-01")],
)
def test_nominal_date(text: str, expected: str) -> None:
    assert nominal_date(text).strftime("%Y-%m-%d") == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("fx_daily.csv", b"ts,base,quote,price,source\n2020-01-01,USD,NGN,1,s\n", "column 'rate' is missing"),
        ("fx_daily.csv", b"2020-01-01,USD,NGN,1,s\n", "column 'ts' is missing"),
        ("fx_daily.csv", b"", "cannot be read"),
        ("fx_daily.csv", b"ts,base,quote,rate,rate,source\n2020-01-01,USD,NGN,1,2,s\n", "column 'rate' is there twice"),
        ("fx_daily.csv.gz", gzip.compress(DAILY.strip().encode() * 50)[:-30], "Truncated"),
        ("fx_daily.csv.gz", b"ts,base,quote,rate,source\n", "cannot be read"),
        ("fx_daily.csv", b"ts,base,quote,rate,source\n2020-01-01,USD,NGN,1,\xff\n", "invalid UTF8"),
    ],
)
def test_a_bad_file_fails_alone_and_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    folder(tmp_path, fx_daily_ohlc=OHLC, candles_1h__BTC=BARS)
    (tmp_path / name).write_bytes(content)
    market = ReplayMarket(tmp_path, UNIVERSE)
    (problem,) = market.problems()
    assert str(problem).startswith(name)
    assert message in str(problem)
    rates = everything(market, Dataset.FX_RATES)
    assert len(rates.frame) == 2
    (failed,) = [a for a in rates.answers if a.outcome == "failed"]
    assert (failed.error_kind, failed.rows) == ("bad_file", 0)
    assert all(a.outcome == "ok" for a in everything(market, Dataset.CANDLES).answers)


def test_columns_without_a_name_are_ignored(tmp_path: Path) -> None:
    market = ReplayMarket(folder(tmp_path, fx_daily="ts,base,quote,rate,source,,\n2020-01-01,USD,NGN,1,s,,"), UNIVERSE)
    assert everything(market, Dataset.FX_RATES).frame["rate"].tolist() == ["1"]


def test_files_are_found_by_their_columns_too(tmp_path: Path) -> None:
    market = ReplayMarket(folder(tmp_path, my_rates=DAILY, rates_2021=OHLC, notes="a,b\n1,2"), UNIVERSE)
    assert market.unused == ("notes.csv",)
    assert len(everything(market, Dataset.FX_RATES).frame) == 6


@pytest.mark.parametrize("files", [{}, {"notes": "a,b\n1,2"}])
def test_a_folder_without_recordings_is_refused(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(ReplayError, match="holds no recording"):
        ReplayMarket(folder(tmp_path, **files), UNIVERSE)


def test_a_folder_of_bad_files_says_which(tmp_path: Path) -> None:
    market = ReplayMarket(folder(tmp_path, fx_daily="a,b\n1,2"), UNIVERSE)
    for moment in (market.history_start, market.history_end):
        with pytest.raises(ReplayError, match=r"fx_daily\.csv: column 'ts' is missing"):
            moment()
    assert market.series() == ()


def test_answers_count_rows_and_name_what_is_not_there(tmp_path: Path) -> None:
    market = ReplayMarket(folder(tmp_path, fx_daily=DAILY), UNIVERSE)
    fetched = market.fetch(Dataset.FX_RATES, None, LATE, LATE, series=["USDNGN:cbn", "USDKES:cbk"])
    assert set(fetched.frame["series"]) == {"USDNGN:cbn"}
    assert [(a.series, a.rows, a.outcome, a.error_kind) for a in fetched.answers] == [
        ("USDKES:cbk", 0, "failed", "unknown_symbol"),
        ("USDNGN:cbn", 2, "ok", None),
    ]
    (empty,) = everything(market, Dataset.CANDLES).answers
    assert (empty.rows, empty.outcome) == (0, "ok")


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    folder(tmp_path, fx_daily=DAILY)
    assert len(everything(ReplayMarket(tmp_path, UNIVERSE), Dataset.FX_RATES).frame) == 5
    folder(tmp_path, fx_daily=DAILY + "2020-01-06,USD,NGN,307,,,cbn")
    assert len(everything(ReplayMarket(tmp_path, UNIVERSE), Dataset.FX_RATES).frame) == 6


@pytest.fixture(scope="module")
def warts(tmp_path_factory: pytest.TempPathFactory) -> ReplayMarket:
    tmp = tmp_path_factory.mktemp("warts")
    bad = "raw_date,base,quote,rate,source\n2019-12-32,USD,AED,3.67,git\n"
    return ReplayMarket(
        folder(tmp, fx_daily=DAILY + "2020-01-02,USD,NGN,x,,,cbn", fx_daily_ohlc=OHLC, fx_daily_bad_dates=bad),
        UNIVERSE,
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 5 * 24), min_size=2, max_size=2).map(sorted), st.integers(0, 6 * 24))
def test_windows_join_without_seam(warts: ReplayMarket, hours: list[int], known: int) -> None:
    zero = datetime(2019, 12, 31, tzinfo=UTC)
    middle, end = (zero + timedelta(hours=h) for h in hours)
    now = zero + timedelta(hours=known)
    whole = warts.fetch(Dataset.FX_RATES, None, end, now)
    parts = [warts.fetch(Dataset.FX_RATES, None, middle, now), warts.fetch(Dataset.FX_RATES, middle, end, now)]
    joined = [row for part in parts for row in part.frame.astype(str).itertuples(index=False, name=None)]
    assert joined == list(whole.frame.astype(str).itertuples(index=False, name=None))
    assert [r for part in parts for r in part.rejects] == list(whole.rejects)


@pytest.mark.realdata
def test_every_row_of_the_real_folder_is_played(real_data: Path) -> None:
    market = ReplayMarket(real_data, UNIVERSE)
    now = market.history_end()
    assert market.problems() == ()
    files = [*real_data.glob("candles_*/*.csv.gz")]
    lines = sum(gzip.decompress(path.read_bytes()).count(b"\n") - 1 for path in files)
    counts = {dataset: everything(market, dataset) for dataset in Dataset}
    assert len(counts[Dataset.CANDLES].frame) == lines
    # 288,008 daily rows, of which the 65,265 of yahoo are the closes of the bars; hourly and parallel rates.
    assert len(counts[Dataset.FX_RATES].frame) == 288_008 + 76_969 + 40_877
    assert [r.reason for r in counts[Dataset.FX_RATES].rejects] == ["impossible_date"] * 18
    assert len(counts[Dataset.FUNDING].frame) == 16_638
    assert len(counts[Dataset.OPEN_INTEREST].frame) == 588
    assert len(counts[Dataset.VAULT_SNAPSHOTS].frame) == 851
    assert all(f.frame["available_at"].max() <= now for f in counts.values())
    scored = {s.id for s in market.series() if s.scored}
    assert {"BTC", "ETH", "XLM", "XRP", "LTC", "ADA", "BNB", "USDNGN:yahoo", "USDKES:cbk_2016_2025"} <= scored
    ids = [(s.id, s.interval) for s in market.series()]
    assert len(set(ids)) == len(ids)
    (vault,) = UNIVERSE.vaults_for({s.id for s in market.series()}).vaults
    assert len(vault.assets) == 6
