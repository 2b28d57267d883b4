"""Who was champion at a moment, where a rollback leads, and what a training run may not undo."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.contracts.market import SeriesKind
from models.validation.ledger import (
    CROWNING,
    Action,
    Entry,
    champion_at,
    contender,
    crowning_of,
    has_fallen_back,
    in_office_since,
    model_name,
    pin,
    predecessor,
    refit_step,
    reigns,
    was_champion,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NAME, OTHER = "volatility_candles_1d", "volatility_vault_1d"


def entry(
    number: int, hours: int, action: Action, version: str, name: str = NAME, replaced: str | None = None
) -> Entry:
    return Entry(
        number, action, "candles", 1, name, version, "har", replaced, "why", {"evaluation_id": f"e{version}"}, "gate",
        START + hours * HOUR,
    )  # fmt: skip


@st.composite
def ledgers(draw: st.DrawFn) -> list[Entry]:
    """Entries as they are written: the clock never goes back, and may stand."""
    steps = draw(st.lists(st.integers(0, 3), max_size=25))
    hours, found = 0, []
    for number, step in enumerate(steps, start=1):
        hours += step
        action = draw(st.sampled_from(list(Action)))
        version, name = str(draw(st.integers(1, 4))), draw(st.sampled_from([NAME, OTHER]))
        found.append(entry(number, hours, action, version, name))
    return found


def slow_champion(entries: list[Entry], name: str, moment: datetime) -> Entry | None:
    """Live through the ledger from its first entry to the moment."""
    champion = None
    for each in entries:
        if each.at > moment:
            break
        if each.model_name == name and each.action.value in ("promoted", "rolled_back", "fell_back"):
            champion = each
    return champion


@given(ledgers(), st.integers(-2, 80), st.sampled_from([NAME, OTHER]), st.randoms())
def test_the_answer_at_any_moment_is_that_of_a_slow_scan(
    entries: list[Entry], hours: int, name: str, shuffler: object
) -> None:
    moment = START + hours * HOUR
    expected = slow_champion(entries, name, moment)
    assert champion_at(entries, name, moment) == expected
    shuffled = list(entries)
    shuffler.shuffle(shuffled)  # type: ignore[attr-defined]
    assert champion_at(shuffled, name, moment) == expected, "the order of reading must not matter"


@given(ledgers())
def test_reigns_touch_and_never_overlap(entries: list[Entry]) -> None:
    found = reigns(entries, NAME)
    assert [reign.entry for reign in found] == [e for e in entries if e.model_name == NAME and e.action in CROWNING]
    assert all(before.until == after.since for before, after in pairwise(found))
    assert all(reign.until is None or reign.since <= reign.until for reign in found)
    assert not found or found[-1].until is None


P, R, H = Action.PROMOTED, Action.ROLLED_BACK, Action.HELD
ONE = entry(1, 0, P, "1")
TWO = entry(2, 10, P, "2", replaced="1")
THREE = entry(3, 20, P, "3", replaced="2")
BACK_TO_TWO = entry(4, 30, R, "2", replaced="3")
BACK_TO_ONE = entry(5, 40, R, "1", replaced="2")
LATER = START + 100 * HOUR


@pytest.mark.parametrize(
    ("entries", "leads_to"),
    [
        ([], None),
        ([ONE], None),
        ([ONE, TWO], "1"),
        ([ONE, TWO, THREE], "2"),
        ([ONE, TWO, THREE, BACK_TO_TWO], "1"),  # not to 3, which was just left
        ([ONE, TWO, THREE, BACK_TO_TWO, BACK_TO_ONE], None),
        ([ONE, TWO, entry(6, 50, P, "2", replaced="1")], "1"),
    ],
)
def test_where_a_rollback_leads(entries: list[Entry], leads_to: str | None) -> None:
    assert predecessor(entries, NAME, LATER) == leads_to


@pytest.mark.parametrize(
    ("kind", "days"),
    [(SeriesKind.CANDLES, 28), (SeriesKind.VAULT, 28), (SeriesKind.RANGES, 29), (SeriesKind.FIXINGS, 29)],
)
def test_a_rollback_holds_for_a_refit_step(kind: SeriesKind, days: int) -> None:
    held = pin([ONE, TWO, replace(BACK_TO_ONE, replaced_version="2")], NAME, kind, LATER)
    assert held is not None
    assert held.until == BACK_TO_ONE.at + timedelta(days=days) == BACK_TO_ONE.at + refit_step(kind)


def test_what_ends_a_hold() -> None:
    entries = [ONE, TWO, replace(BACK_TO_ONE, id=3, replaced_version="2")]
    assert pin([ONE, TWO], NAME, SeriesKind.CANDLES, LATER) is None
    assert pin(entries, NAME, SeriesKind.CANDLES, BACK_TO_ONE.at - HOUR) is None, "not held before it happened"
    assert pin([*entries, entry(4, 50, H, "3")], NAME, SeriesKind.CANDLES, LATER) is not None
    assert pin([*entries, entry(4, 50, P, "2", replaced="1")], NAME, SeriesKind.CANDLES, LATER) is None


F = Action.FELL_BACK
MODEL = [replace(e, algorithm="combination") for e in (ONE, TWO)]
FALLEN = replace(entry(3, 20, F, "3", replaced="2"), algorithm="log_har")
STILL = replace(entry(4, 30, F, "4", replaced="3"), algorithm="log_har")
RETURNED = replace(entry(5, 40, P, "5", replaced="4"), algorithm="combination")
LIFE = [*MODEL, FALLEN, STILL, RETURNED]


@pytest.mark.parametrize(
    ("hours", "version", "fallen_back", "since"),
    [
        (-1, None, False, None),
        (0, "1", False, 0),
        (19, "2", False, 0),  # another version of the same algorithm goes on
        (20, "3", True, 20),
        (39, "4", True, 20),
        (40, "5", False, 40),
        (99, "5", False, 40),
    ],
)
def test_the_ledger_answers_across_a_fallback(
    hours: int, version: str | None, fallen_back: bool, since: int | None
) -> None:
    moment = START + hours * HOUR
    found = champion_at(LIFE, NAME, moment)
    assert (found.model_version if found else None) == version
    assert has_fallen_back(LIFE, NAME, moment) is fallen_back
    assert in_office_since(LIFE, NAME, moment) == (START + since * HOUR if since is not None else None)


def test_a_person_may_return_to_the_model_that_gave_way() -> None:
    fallen = [*MODEL, FALLEN]
    assert predecessor(fallen, NAME, LATER) == "2"
    assert crowning_of(fallen, NAME, "3") == FALLEN
    back = replace(MODEL[1], id=9, action=R, replaced_version="3", at=FALLEN.at + HOUR)
    assert not has_fallen_back([*fallen, back], NAME, LATER), "the next run begins anew"
    assert pin([*fallen, back], NAME, SeriesKind.CANDLES, LATER) is not None, "and undoes nothing for a refit step"
    assert contender([*fallen, back], NAME, LATER) == FALLEN, "the baseline that was left goes on in shadow"


@given(ledgers(), st.integers(-2, 80))
def test_in_office_since_is_the_first_of_an_unbroken_row(entries: list[Entry], hours: int) -> None:
    moment = START + hours * HOUR
    renamed = [replace(e, algorithm=e.model_version) for e in entries]
    row = [e for e in renamed if e.model_name == NAME and e.action in CROWNING and e.at <= moment]
    expected = None
    while row and row[-1].algorithm == (expected or row[-1]).algorithm:
        expected = row.pop()
    assert in_office_since(renamed, NAME, moment) == (expected.at if expected is not None else None)


def test_who_waits_beside_a_champion() -> None:
    entries = [ONE, TWO, replace(BACK_TO_ONE, id=3, replaced_version="2")]
    assert contender([ONE, TWO], NAME, LATER) is None
    assert contender(entries, NAME, LATER) == TWO, "the version that was left"
    held = [entry(4, 50, H, "3"), entry(5, 60, H, "4")]
    assert contender([*entries, *held], NAME, LATER) == held[1], "the newest that the gate accepted since"
    assert contender([entry(0, 0, H, "9"), *entries], NAME, LATER) == TWO, "what was held before does not count"


def test_only_a_reign_makes_a_former_champion() -> None:
    entries = [ONE, TWO, entry(3, 20, Action.REFUSED, "3"), entry(4, 25, H, "4"), BACK_TO_ONE]
    assert [was_champion(entries, NAME, v) for v in ("1", "2", "3", "4")] == [True, True, False, False]
    assert not was_champion(entries, OTHER, "1")
    assert crowning_of(entries, NAME, "1") == ONE, "a rollback is no new evidence"
    assert crowning_of(entries, NAME, "3") is None


def test_names() -> None:
    assert model_name(SeriesKind.CANDLES, 7) == "volatility_candles_7d"
