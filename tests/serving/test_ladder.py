"""Rungs from rows: who speaks, since when, why; and what is told while the database is away."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from serving.degradation import Cause, Degradation
from serving.ladder import Standing, of_all, of_score, standing
from serving.remembered import Remembered
from serving.schemas import JobHealth, SeriesHealth

NOW = datetime(2026, 1, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
GOOD = {"last_good_score": 40.0, "last_good_as_of": NOW - 5 * HOUR, "last_good_issued_at": NOW - 5 * HOUR,
        "last_good_valid_until": NOW - 3 * HOUR}  # fmt: skip
NO_GOOD = dict.fromkeys(GOOD)
LATE = Cause(code="scoring_late", detail="late", since=NOW - HOUR)
AWAY = Cause(code="database_away", detail="away", since=NOW - HOUR)


def a_row(**changes: Any) -> dict[str, Any]:
    return {
        "subject": "BTC", "horizon_days": 1, "score": 50.0, "as_of": NOW - HOUR, "issued_at": NOW - HOUR,
        "valid_until": NOW + HOUR, "status": "ok", "reasons": [], "model_name": "m", "model_version": "3",
        "share_stale": 0.0, "rung": "champion", "standby_since": None, "champion_action": "promoted",
        "champion_version": "3", "champion_reason": "because", "champion_promoted_at": NOW - 9 * HOUR,
        "last_good_score": 50.0, "last_good_as_of": NOW - HOUR, "last_good_issued_at": NOW - HOUR,
        "last_good_valid_until": NOW + HOUR,
    } | changes  # fmt: skip


def silent(status: str, reason: str, **changes: Any) -> dict[str, Any]:
    return a_row(score=None, status=status, reasons=[reason], rung="none", **(GOOD | changes))


@pytest.mark.parametrize(
    ("row", "known", "rung", "codes", "since"),
    [
        pytest.param(a_row(), Standing(), None, [], None, id="champion"),
        pytest.param(a_row(rung=None), Standing(), None, [], None, id="a row older than the column"),
        pytest.param(a_row(), Standing([LATE]), None, [], None, id="the job is late, the score still good"),
        pytest.param(
            a_row(rung="baseline", champion_action="fell_back"), Standing(), "baseline", ["fell_back"], NOW - 9 * HOUR,
            id="by the ledger",
        ),
        pytest.param(
            a_row(rung="baseline", reasons=["x", "the files"], standby_since=NOW - HOUR), Standing(), "baseline",
            ["model_file"], NOW - HOUR, id="in the place of the champion",
        ),
        pytest.param(
            a_row(rung="baseline", champion_action="fell_back", champion_version="4", reasons=["the files"]),
            Standing(), "baseline", ["model_file"], None, id="in the place of a baseline",
        ),
        pytest.param(silent("quarantined", "held"), Standing(), "last_good", ["input_held"], NOW - 3 * HOUR, id="held"),
        pytest.param(
            silent("stale", "old feed", share_stale=1.0), Standing(), "last_good", ["stale_feed"], NOW - 3 * HOUR,
            id="feed",
        ),
        pytest.param(
            silent("stale", "old model"), Standing(), "last_good", ["model_expired"], NOW - 3 * HOUR, id="model"
        ),
        pytest.param(
            silent("insufficient_data", "no model", model_name="none", **NO_GOOD), Standing(), "none", ["no_model"],
            NOW - HOUR, id="never a model",
        ),
        pytest.param(
            silent("insufficient_data", "the files of m have changed", model_name="none"), Standing(), "last_good",
            ["model_file"], NOW - 3 * HOUR, id="no file",
        ),
        pytest.param(
            a_row(valid_until=NOW - HOUR), Standing([LATE]), "last_good", ["scoring_late"], NOW - HOUR, id="daemon"
        ),
        pytest.param(
            a_row(valid_until=NOW - HOUR), Standing([], {"BTC": NOW - HOUR, "ETH": NOW}), "last_good", ["stale_feed"],
            NOW - HOUR, id="its feed",
        ),
        pytest.param(
            a_row(subject="vault:a", valid_until=NOW - HOUR), Standing([LATE], {"ETH": None}), "last_good",
            ["stale_feed", "scoring_late"], NOW - HOUR, id="a vault's feeds and the job",
        ),
        pytest.param(
            a_row(valid_until=NOW - HOUR), Standing([], {"ETH": NOW}), "last_good", ["expired"], NOW - HOUR, id="over"
        ),
        pytest.param(a_row(), Standing([AWAY]), "last_good", ["database_away"], NOW - HOUR, id="remembered"),
        pytest.param(
            a_row(valid_until=NOW - 2 * HOUR), Standing([AWAY]), "last_good", ["expired", "database_away"],
            NOW - 2 * HOUR, id="remembered for too long",
        ),
    ],
)  # fmt: skip
def test_the_rung_of_a_score(
    row: dict[str, Any], known: Standing, rung: str | None, codes: list[str], since: datetime | None
) -> None:
    found = of_score(row, NOW, known)
    if rung is None:
        assert found is None
        return
    assert found is not None
    assert (found.rung, [cause.code for cause in found.causes], found.since) == (rung, codes, since)
    assert (found.last_good is None) is (rung != "last_good")


def test_an_answer_stands_on_the_worst_rung_in_it() -> None:
    baseline = Degradation(rung="baseline", since=NOW - HOUR, causes=[Cause(code="fell_back", detail="a")])
    twice = [Degradation(rung="last_good", since=NOW - n * HOUR, causes=[LATE]) for n in (1, 2)]
    found = of_all([None, baseline, *twice], Standing([LATE]))
    assert found is not None
    assert (found.rung, found.since, [cause.code for cause in found.causes]) == (
        "last_good", NOW - 2 * HOUR, ["fell_back", "scoring_late"],
    )  # fmt: skip
    assert of_all([None], Standing()) is None
    alone = of_all([None], Standing([LATE]))
    assert alone is not None
    assert (alone.rung, alone.since) == ("champion", LATE.since)


def test_jobs_and_feeds_that_are_late() -> None:
    jobs = [
        JobHealth(job=job, last_success_at=None if age is None else NOW - timedelta(seconds=age), age_s=age,
                  allowed_age_s=8100, consecutive_failures=2, last_error=None, ok=False)
        for job, age in (("hourly_refresh", 8101), ("training", None), ("keeper", 99_999))
    ]  # fmt: skip
    series = [
        SeriesHealth(series=name, dataset="candles", interval="1h", newest_ts=None, age_s=age, max_age_s=7200,
                     stale=stale, stalled_by=None, gaps_open=0, missing_slots_open=0)
        for name, age, stale in (("BTC", 7300, True), ("ETH", 10, False), ("SOL", None, True))
    ]  # fmt: skip
    found = standing(jobs, series, NOW)
    assert [(cause.code, cause.since) for cause in found.causes] == [
        ("scoring_late", NOW - timedelta(seconds=1)), ("training_late", None),
    ]  # fmt: skip
    assert found.causes[0].detail == (
        "job hourly_refresh: 2 failures in a row, last success 8101 s ago of 8100 s allowed"
    )
    assert found.stale == {"BTC": NOW - timedelta(seconds=100), "SOL": None}


class Unsteady:
    """A store that can be unplugged. The market's clock stands at NOW, or a little later."""

    def __init__(self) -> None:
        self.is_away = False
        self.now = NOW

    def _answer(self, rows: Any) -> Any:
        if self.is_away:
            raise OperationalError("select", {}, Exception("away"))
        return rows

    def market(self) -> Any:
        return self._answer({"name": "simulated", "data_mode": "simulated", "clock_anchor": self.now,
                             "wall_anchor": None, "clock_speed": 1.0})  # fmt: skip

    def current(self, subject: str | None, horizon_days: int | None) -> Any:
        rows = [a_row(), a_row(horizon_days=7), a_row(subject="ETH")]
        wanted = [r for r in rows if subject in (None, r["subject"]) and horizon_days in (None, r["horizon_days"])]
        return self._answer(wanted)

    def jobs(self) -> Any:
        return self._answer([])

    def series(self) -> Any:
        return self._answer([])


@pytest.mark.parametrize(
    ("asked", "kept"),
    [((None, None), [("BTC", 1), ("BTC", 7), ("ETH", 1)]), (("BTC", None), [("BTC", 1), ("BTC", 7)]),
     ((None, 1), [("BTC", 1), ("ETH", 1)])],
)  # fmt: skip
def test_what_was_read_is_told_while_the_database_is_away(
    asked: tuple[str | None, int | None], kept: list[tuple[str, int]]
) -> None:
    store = Unsteady()
    remembered = Remembered(store, standing_s=0)  # type: ignore[arg-type] # as far as it is asked
    remembered.current(None, None)
    store.is_away = True
    reading = remembered.current(*asked)
    assert [(row["subject"], row["horizon_days"]) for row in reading.rows] == kept
    assert (reading.standing.causes[0].code, reading.standing.causes[0].since) == ("database_away", NOW)
    store.is_away = False
    assert [c.code for c in remembered.current(*asked).standing.causes if c.code == "database_away"] == []


@pytest.mark.parametrize("before", [lambda memory: None, lambda memory: memory.current("ETH", None)])
def test_what_was_never_read_is_not_made_up(before: Callable[[Remembered], Any]) -> None:
    store = Unsteady()
    remembered = Remembered(store, standing_s=0)  # type: ignore[arg-type] # as far as it is asked
    before(remembered)
    store.is_away = True
    with pytest.raises(OperationalError):
        remembered.current("BTC", None)
