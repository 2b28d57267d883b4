"""Feed drift planted in an hourly coin and in a managed currency: each found within two bars, and quiet otherwise."""

import json
from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from models.contracts.market import Calendar
from models.drift import feed
from models.drift.alarms import DriftKind, NotEnoughHistory
from models.drift.feed import FeedRules
from tests.models.drift.streams import market

HOUR = pd.Timedelta(hours=1)


def hourly_bars(days: int, seed: int = 0) -> pd.DataFrame:
    stream = market(days, seed)
    close = 100 * np.exp(np.cumsum(stream.returns))
    open_ = np.concatenate([[100.0], close[:-1]])
    return pd.DataFrame(
        {
            "ts": stream.times, "available_at": stream.times + HOUR, "open": open_,
            "high": np.maximum(open_, close) * 1.001, "low": np.minimum(open_, close) * 0.999, "close": close,
            "volume_base": stream.volume, "trades": np.nan,
        }
    )  # fmt: skip


BARS = hourly_bars(500)
SPLIT = 440 * 24
PLANT = 300  # row of the recent window at which a drift begins


@pytest.fixture(scope="module")
def rules() -> FeedRules:
    return feed.fit_feed("BTC", BARS.iloc[:SPLIT], Calendar.ALWAYS, 1.0, np.random.default_rng(0))


def recent() -> pd.DataFrame:
    return BARS.iloc[SPLIT : SPLIT + PLANT + 24].reset_index(drop=True).copy()


def times_ten(rows: pd.DataFrame) -> pd.DataFrame:
    rows.loc[PLANT:, ["open", "high", "low", "close"]] *= 10.0
    return rows


def a_tenth_more(rows: pd.DataFrame) -> pd.DataFrame:
    rows.loc[PLANT:, ["open", "high", "low", "close"]] *= 1.1
    return rows


def frozen(rows: pd.DataFrame) -> pd.DataFrame:
    names = ["open", "high", "low", "close", "volume_base"]
    rows.loc[PLANT:, names] = rows.loc[PLANT - 1, names].to_numpy(dtype=float)
    return rows


def flat(rows: pd.DataFrame) -> pd.DataFrame:
    rows.loc[PLANT:, ["open", "high", "low", "close"]] = rows.loc[PLANT - 1, "close"]
    return rows


def silent(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.iloc[:PLANT]


def null_volume(rows: pd.DataFrame) -> pd.DataFrame:
    rows.loc[PLANT:, "volume_base"] = np.nan
    return rows


def no_volume(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([rows.iloc[:PLANT], rows.iloc[PLANT:].drop(columns="volume_base")], ignore_index=True)


def other_unit(rows: pd.DataFrame) -> pd.DataFrame:
    rows.loc[PLANT:, "volume_base"] *= 1000.0
    return rows


def other_sign(rows: pd.DataFrame) -> pd.DataFrame:
    rows.loc[PLANT:, "volume_base"] *= -1.0
    return rows


@pytest.mark.parametrize(
    ("plant", "kind", "check"),
    [
        (times_ten, DriftKind.FEED_SCALE, "step"),
        (a_tenth_more, DriftKind.FEED_SCALE, "step"),
        (frozen, DriftKind.FEED_STALE, "still"),
        (flat, DriftKind.FEED_STALE, "still"),
        (silent, DriftKind.FEED_STALE, "late"),
        (null_volume, DriftKind.FEED_SCHEMA, "null"),
        (no_volume, DriftKind.FEED_SCHEMA, "null"),
        (other_unit, DriftKind.FEED_SCHEMA, "size"),
        (other_sign, DriftKind.FEED_SCHEMA, "sign"),
    ],
)
def test_planted_drift_is_found_within_two_bars(
    rules: FeedRules, plant: Callable[[pd.DataFrame], pd.DataFrame], kind: DriftKind, check: str
) -> None:
    begins = recent()["ts"].iloc[PLANT]
    rows = plant(recent())
    by_then = begins + 2 * HOUR  # the second bar has closed
    known = rows[rows["available_at"] <= by_then]
    found = [a for a in feed.watch_feed(rules, known, by_then.to_pydatetime()) if a.detected_at > begins]
    assert (kind, check) in {(alarm.kind, alarm.evidence["check"]) for alarm in found}
    assert all(alarm.statistic > alarm.threshold for alarm in found)


def test_a_later_look_finds_the_same_alarm(rules: FeedRules) -> None:
    rows = times_ten(recent())
    first, second = (feed.watch_feed(rules, rows.iloc[:end], rows["available_at"].iloc[end - 1]) for end in (302, 310))
    assert [a.detected_at for a in first if a.kind is DriftKind.FEED_SCALE] == [
        a.detected_at for a in second if a.kind is DriftKind.FEED_SCALE
    ]


def test_a_quiet_feed_is_quiet(rules: FeedRules) -> None:
    rows = BARS.iloc[SPLIT:].reset_index(drop=True)
    assert feed.watch_feed(rules, rows, rows["available_at"].iloc[-1].to_pydatetime()) == []


def test_a_silence_is_the_same_alarm_however_long_it_lasts(rules: FeedRules) -> None:
    rows = recent().iloc[:PLANT]
    last = rows["available_at"].iloc[-1]
    for waited in (2, 30):
        (alarm,) = feed.watch_feed(rules, rows, (last + waited * HOUR).to_pydatetime())
        assert alarm.detected_at == (last + HOUR).to_pydatetime()


def managed_rate(days: int) -> pd.DataFrame:
    """A fixing that somebody lets move on every fourth business day."""
    rng = np.random.default_rng(0)
    ts = pd.bdate_range("2015-01-05", periods=days, tz="UTC")
    steps = np.where(np.arange(days) % 4 == 0, rng.normal(0, 0.002, days), 0.0)
    return pd.DataFrame({"ts": ts, "available_at": ts + timedelta(days=1), "rate": 200 * np.exp(np.cumsum(steps))})


def test_a_managed_rate_may_stand_still_as_long_as_it_always_did() -> None:
    rows = managed_rate(1200)
    rules = feed.fit_feed("USDXXX:s", rows.iloc[:1000], Calendar.FX_WEEK, 1.0, np.random.default_rng(0))
    quiet = rows.iloc[1000:].reset_index(drop=True)
    now = quiet["available_at"].iloc[-1].to_pydatetime()
    assert feed.watch_feed(rules, quiet, now) == []
    stuck = quiet.assign(rate=np.where(quiet.index >= 100, quiet["rate"].iloc[100], quiet["rate"]))
    alarms = feed.watch_feed(rules, stuck, now)
    assert [alarm.evidence["check"] for alarm in alarms] == ["still"]
    assert alarms[0].threshold == 3.0  # three rows unchanged were usual


@pytest.mark.parametrize(("factor", "found"), [(1.41, False), (2.1, True), (0.01, True)])
def test_a_devaluation_of_a_rate_is_no_change_of_scale(factor: float, found: bool) -> None:
    rows = managed_rate(1200)
    rules = feed.fit_feed("USDXXX:s", rows.iloc[:1000], Calendar.FX_WEEK, 1.0, np.random.default_rng(0))
    moved = rows.iloc[1000:].reset_index(drop=True)
    moved.loc[100:, "rate"] *= factor
    alarms = feed.watch_feed(rules, moved, moved["available_at"].iloc[-1].to_pydatetime())
    assert (DriftKind.FEED_SCALE in {alarm.kind for alarm in alarms}) == found


def test_a_weekend_is_no_silence() -> None:
    rows = managed_rate(1000)
    rules = feed.fit_feed("USDXXX:s", rows, Calendar.FX_WEEK, 1.0, np.random.default_rng(0))
    friday = rows[rows["ts"].dt.day_of_week == 4].iloc[:100]  # known on Saturday; the next on Tuesday
    until = rows[rows["ts"] <= friday["ts"].iloc[-1]].tail(200)
    tuesday = (until["available_at"].iloc[-1] + timedelta(days=3)).to_pydatetime()
    assert feed.watch_feed(rules, until, tuesday) == []
    assert [a.evidence["check"] for a in feed.watch_feed(rules, until, tuesday + timedelta(days=1))] == ["late"]


def test_stored_rules_are_the_same(rules: FeedRules) -> None:
    assert feed.from_document(json.loads(json.dumps(feed.as_document(rules)))) == rules


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        pytest.param(BARS.iloc[:50], "50 rows", id="few-rows"),
        pytest.param(BARS.iloc[: 24 * 60], "quarters", id="short"),
        pytest.param(BARS.drop(columns="close"), "neither close nor rate", id="no-price"),
    ],
)
def test_what_cannot_be_fitted_says_why(rows: pd.DataFrame, why: str) -> None:
    with pytest.raises(NotEnoughHistory, match=why):
        feed.fit_feed("BTC", rows, Calendar.ALWAYS, 1.0, np.random.default_rng(0))


def test_nothing_recent_is_nothing_to_judge(rules: FeedRules) -> None:
    assert feed.watch_feed(rules, BARS.iloc[:0], BARS["ts"].iloc[0].to_pydatetime()) == []
