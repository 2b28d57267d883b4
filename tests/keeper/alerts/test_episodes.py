"""What a look adds to what is known: one word a change, reminders at their time, recoveries that last."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.alerts.alert import Alert, AlertName, Report, Severity
from keeper.alerts.episodes import REMIND_AFTER, SETTLE, Change, Event, Known, changes

T0 = datetime(2026, 1, 1, tzinfo=UTC)
NAME = AlertName.TRANSACTION_FAILED
LOOKED = frozenset({NAME.value})
W, C = Severity.WARNING, Severity.CRITICAL


class Book:
    """Remembers as the table does: the newest event of the one key, its worst severity, when it was mentioned."""

    def __init__(self) -> None:
        self.known: Known | None = None
        self.log: list[Change] = []

    def look(self, minute: float, severity: Severity | None = None, evidence: str = "a") -> list[str]:
        """One look; the events it adds, with `!` where somebody is to be told."""
        now = T0 + timedelta(minutes=minute)
        alerts = () if severity is None else (Alert(NAME, severity, "mixed", "s", now, {}, evidence),)
        made = changes(Report(alerts, LOOKED), [self.known] if self.known else [], now)
        for change in made:
            self._store(change, now)
        return [f"{c.event}{'' if c.due_at is None else '!'}" for c in made]

    def _store(self, change: Change, now: datetime) -> None:
        self.log.append(change)
        old = self.known
        same = old is not None and old.episode == change.episode
        told = change.due_at if change.event is not Event.CLEARED else None
        peak = max([change.severity, *([old.peak] if same and old else [])], key=lambda s: s.rank)
        evidence = change.alert.evidence if change.alert else (old.evidence if old else "")
        self.known = Known(
            NAME, "mixed", change.event, change.episode, change.n, change.count, change.severity, peak, evidence, "s",
            change.since, told or (old.told_at if same and old else now), change.due_at,
        )  # fmt: skip


@pytest.mark.parametrize(
    "looks",
    [
        pytest.param([(0, W, "a", ["raised!"]), (1, W, "a", []), (300, W, "a", [])], id="lasting-is-told-once"),
        pytest.param([(0, W, "a", ["raised!"]), (1, W, "b", ["repeated"])], id="again-is-counted"),
        pytest.param([(0, W, "a", ["raised!"]), (360, W, "a", ["repeated!"]), (361, W, "a", [])], id="reminded"),
        pytest.param([(0, C, "a", ["raised!"]), (59, C, "a", []), (60, C, "a", ["repeated!"])], id="critical-sooner"),
        pytest.param([(0, W, "a", ["raised!"]), (1, C, "a", ["escalated!"]), (2, C, "a", [])], id="worse-at-once"),
        pytest.param(
            [(0, C, "a", ["raised!"]), (1, W, "a", ["repeated"]), (2, C, "a", ["repeated"])], id="worse-again-is-known"
        ),
        pytest.param([(0, W, "a", ["raised!"]), (1, None, "", ["cleared!"]), (2, None, "", [])], id="over-once"),
        pytest.param(
            [(0, W, "a", ["raised!"]), (10, None, "", ["cleared!"]), (12, W, "a", ["repeated"])],
            id="not-over",
        ),
        pytest.param(
            [(0, W, "a", ["raised!"]), (10, None, "", ["cleared!"]), (13, W, "a", ["raised!"])], id="a-new-episode"
        ),
        pytest.param(
            [(9000, W, "a", ["raised!"]), (0, W, "a", ["repeated!"]), (1, W, "a", []), (360, W, "a", ["repeated!"])],
            id="the-clock-was-ahead-and-was-set-back",
        ),
        pytest.param(
            [(9000, W, "a", ["raised!"]), (9001, None, "", ["cleared!"]), (0, W, "a", ["raised!"])],
            id="an-end-that-a-wrong-clock-put-off",
        ),
    ],
)
def test_a_course_of_looks(looks: list[tuple[float, Severity | None, str, list[str]]]) -> None:
    book = Book()
    for minute, severity, evidence, expected in looks:
        assert book.look(minute, severity, evidence) == expected, f"at minute {minute}"


def test_occurrences_are_counted_not_looks() -> None:
    book = Book()
    for minute, evidence in enumerate("aaabbbac"):
        book.look(minute, W, evidence)
    assert book.known is not None
    assert (book.known.count, book.known.episode, book.known.n) == (4, 1, 3)


def test_a_recovery_waits_and_speaks_of_the_worst() -> None:
    book = Book()
    book.look(0, W)
    book.look(1, C)
    book.look(2, W)
    book.look(5)
    assert (book.log[-1].event, book.log[-1].severity) == (Event.CLEARED, C)
    assert book.log[-1].due_at == T0 + timedelta(minutes=5) + SETTLE


def test_one_word_a_key_of_a_look_and_the_worst_of_it() -> None:
    twice = [Alert(NAME, severity, "mixed", "s", T0) for severity in (W, C, W)]
    other = Alert(NAME, W, "other", "s", T0)
    made = changes(Report((*twice, other), LOOKED), [], T0)
    assert [(c.alert and c.alert.scope, c.severity) for c in made] == [("mixed", C), ("other", W)]


def test_what_was_not_looked_at_is_not_over() -> None:
    book = Book()
    book.look(0, W)
    assert book.known is not None
    assert changes(Report(()), [book.known], T0 + timedelta(hours=1)) == []
    assert changes(Report((), LOOKED, frozenset({book.known.dedup_key})), [book.known], T0 + timedelta(hours=1)) == []


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 200), st.sampled_from([None, W, C]), st.sampled_from("ab")), min_size=1, max_size=60
    )
)
def test_any_course_is_orderly(course: list[tuple[int, Severity | None, str]]) -> None:
    book, minute = Book(), 0.0
    for step, severity, evidence in course:
        minute += step
        book.look(minute, severity, evidence)
        now = T0 + timedelta(minutes=minute)
        if book.known is not None:
            assert (book.known.event is Event.CLEARED) is (severity is None)
        again = replace(book.known, told_at=now) if book.known else None
        alerts = () if severity is None else (Alert(NAME, severity, "mixed", "s", now, {}, evidence),)
        assert changes(Report(alerts, LOOKED), [again] if again else [], now) == [], "the same look adds nothing"
    keys = [(c.episode, c.n) for c in book.log]
    assert keys == sorted(set(keys))
    spoken = [c for c in book.log if c.due_at is not None and c.event is Event.REPEATED]
    for before, after in pairwise(spoken):
        assert after.due_at is not None
        assert before.due_at is not None
        assert after.due_at - before.due_at >= REMIND_AFTER[C]
