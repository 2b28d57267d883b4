from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.contracts.market import COLUMNS, Dataset
from models.stress.script import GENESIS, HISTORY_END, events_of, planted_events
from models.timeseries.realised import quarantine
from orchestration.settings import DEFAULT_UNIVERSE
from orchestration.sources.interface import Fetch
from orchestration.sources.simulated import SimulatedMarket, SimulationError
from orchestration.universe import Universe, load_universe

UNIVERSE = load_universe(DEFAULT_UNIVERSE)
PLAYED = (Dataset.FX_RATES, Dataset.CANDLES, Dataset.FUNDING, Dataset.OPEN_INTEREST)


@pytest.fixture(scope="module")
def market() -> SimulatedMarket:
    return SimulatedMarket(UNIVERSE, 7)


@pytest.fixture(scope="module")
def history(market: SimulatedMarket) -> dict[Dataset, pd.DataFrame]:
    return {dataset: market.fetch(dataset, None, HISTORY_END, HISTORY_END).frame for dataset in PLAYED}


def digest(fetched: Fetch) -> str:
    return hashlib.sha256(fetched.frame.to_csv().encode()).hexdigest()


@pytest.mark.parametrize("dataset", PLAYED)
def test_rows_have_the_columns_of_their_table_and_say_where_they_come_from(
    history: dict[Dataset, pd.DataFrame], dataset: Dataset
) -> None:
    frame = history[dataset]
    assert tuple(frame.columns) == COLUMNS[dataset]
    for column, value in [("source", "simulator"), ("provider", "simulator"), ("data_mode", "simulated")]:
        assert set(frame[column]) == {value}
    assert frame["ts"].is_monotonic_increasing
    assert not frame.duplicated(["series", "interval", "ts"]).any()
    assert frame["available_at"].max() <= HISTORY_END
    assert frame["ts"].min() >= GENESIS


def test_every_series_of_the_universe_is_played_and_known_in_time(
    market: SimulatedMarket, history: dict[Dataset, pd.DataFrame]
) -> None:
    for spec in market.series():
        rows = history[spec.dataset]
        rows = rows[(rows["series"] == spec.id) & (rows["interval"] == spec.interval)]
        assert len(rows) > 1000, spec.id
        assert (rows["available_at"] - rows["ts"] == timedelta(seconds=spec.publication_lag_s)).all()
        age = HISTORY_END - rows["available_at"].max()
        assert age <= timedelta(seconds=spec.max_age_s), f"{spec.id} is stale when the clock starts"


def test_integers_stay_integers(history: dict[Dataset, pd.DataFrame]) -> None:
    assert history[Dataset.FX_RATES]["n_offers"].dtype == "Int64"
    assert history[Dataset.CANDLES]["trades"].dtype == "int64"


def test_fixings_have_no_range_and_bars_do(history: dict[Dataset, pd.DataFrame]) -> None:
    rates = history[Dataset.FX_RATES].set_index("series")
    assert rates.loc["USDGHS:official", "high"].isna().all()
    assert rates.loc["USDNGN:official", "high"].notna().all()


@pytest.mark.parametrize("dataset", PLAYED)
def test_the_same_seed_plays_the_same_bytes(market: SimulatedMarket, dataset: Dataset) -> None:
    window = (
        dataset,
        HISTORY_END - timedelta(days=30),
        HISTORY_END + timedelta(days=9),
        datetime(2030, 1, 1, tzinfo=UTC),
    )
    assert digest(SimulatedMarket(UNIVERSE, 7).fetch(*window)) == digest(market.fetch(*window))
    assert digest(SimulatedMarket(UNIVERSE, 8).fetch(*window)) != digest(market.fetch(*window))


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(PLAYED),
    st.lists(st.integers(0, 90 * 24 * 60), min_size=3, max_size=3).map(sorted),
    st.integers(0, 100 * 24 * 60),
)
def test_windows_join_without_seam(market: SimulatedMarket, dataset: Dataset, minutes: list[int], known: int) -> None:
    zero = HISTORY_END - timedelta(days=45)
    a, b, c = (zero + timedelta(minutes=m) for m in minutes)
    now = zero + timedelta(minutes=known)
    whole = market.fetch(dataset, a, c, now).frame
    parts = [market.fetch(dataset, a, b, now).frame, market.fetch(dataset, b, c, now).frame]
    rows = [row for part in parts for row in part.astype(str).itertuples(index=False, name=None)]
    assert rows == list(whole.astype(str).itertuples(index=False, name=None))
    assert whole.empty or (whole["available_at"].max() <= now and whole["ts"].min() >= a and whole["ts"].max() < c)


@pytest.mark.parametrize("dataset", PLAYED)
def test_a_shorter_history_is_the_end_of_the_whole_one(market: SimulatedMarket, dataset: Dataset) -> None:
    shorter = UNIVERSE.simulated.model_copy(update={"history_days": 40})
    short = SimulatedMarket(UNIVERSE.model_copy(update={"simulated": shorter}), 7)
    start = HISTORY_END - timedelta(days=40)
    assert (short.history_start(), short.history_end()) == (start, HISTORY_END)
    expected = digest(market.fetch(dataset, start, HISTORY_END, HISTORY_END))
    for asked in (None, GENESIS, start):  # nothing lies before the history begins
        assert digest(short.fetch(dataset, asked, HISTORY_END, HISTORY_END)) == expected


def test_an_hour_passes(market: SimulatedMarket) -> None:
    hour = timedelta(hours=1)
    for k, bars in [(0, 0), (1, 3), (2, 6)]:
        frame = market.fetch(Dataset.CANDLES, HISTORY_END, HISTORY_END + 5 * hour, HISTORY_END + k * hour).frame
        assert len(frame) == bars


def test_named_series_and_what_is_not_simulated(market: SimulatedMarket) -> None:
    start = HISTORY_END - timedelta(days=1)
    fetched = market.fetch(Dataset.CANDLES, start, HISTORY_END, HISTORY_END, series=["ETH", "DOGE"])
    assert set(fetched.frame["series"]) == {"ETH"}
    assert [(a.series, a.rows, a.outcome) for a in fetched.answers] == [("ETH", 24, "ok"), ("DOGE", 0, "failed")]
    nothing = market.fetch(Dataset.VAULT_SNAPSHOTS, None, HISTORY_END, HISTORY_END)
    assert tuple(nothing.frame.columns) == COLUMNS[Dataset.VAULT_SNAPSHOTS]
    assert [a.outcome for a in nothing.answers] == ["ok"]


def test_missing_hours_are_those_planted(history: dict[Dataset, pd.DataFrame]) -> None:
    bars = history[Dataset.CANDLES]
    for coin, hours in [("BTC", 34 + 5 + 1), ("ETH", 34 + 2), ("XLM", 34 + 9)]:
        expected = (HISTORY_END - GENESIS) / timedelta(hours=1) - hours
        assert (bars["series"] == coin).sum() == expected


@pytest.mark.parametrize("pair", ["USDNGN:official", "USDKES:official", "USDZAR:official", "USDGHS:official"])
@pytest.mark.parametrize("seed", [7, 1, 2])
def test_quarantine_holds_what_was_planted_and_keeps_devaluations(seed: int, pair: str) -> None:
    """After the rule of the features no wrong print is left in the returns, and every true break is."""
    fetched = SimulatedMarket(UNIVERSE, seed).fetch(Dataset.FX_RATES, None, HISTORY_END, HISTORY_END, series=[pair])
    rates = fetched.frame.set_index("ts")["rate"].astype(float)
    good, held = quarantine(rates)
    moves = np.log(good).diff().abs()
    true_breaks = events_of(pair, "devaluation")
    assert (moves > 0.16).sum() == sum(e.size > 0.16 for e in true_breaks)
    for event in events_of(pair, "wrong_scale"):
        assert held[(held.index >= event.start) & (held.index < event.end)].all()
        assert moves[(moves.index >= event.start) & (moves.index < event.end + timedelta(days=4))].max() < 0.15
    planted = sum(2 if e.size > 0.15 else 0 for e in true_breaks)
    planted += sum((e.end - e.start).days for e in events_of(pair, "wrong_scale"))
    assert held.sum() <= planted + 3


def test_every_planted_event_belongs_to_a_series_of_the_universe(market: SimulatedMarket) -> None:
    offered = {(spec.dataset, spec.id) for spec in market.series()}
    assert {(event.dataset, event.series) for event in planted_events()} <= offered
    assert all(event.start < event.end for event in planted_events())


def test_a_series_that_the_generator_cannot_play_is_refused() -> None:
    content = UNIVERSE.model_dump(mode="json", by_alias=True)
    content["simulated"]["series"][0]["id"] = "DOGE"
    with pytest.raises(SimulationError, match=r"simulated\.series \(DOGE\)"):
        SimulatedMarket(Universe.model_validate(content), 7)
