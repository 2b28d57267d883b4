"""Positions: what an event id names, and who has read more."""

from __future__ import annotations

import pytest

from models.events.position import Position, read_position


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0-0-0", Position(0, 0, 0)),
        ("1042-77-12", Position(1042, 77, 12)),
        ("1042-77", None),
        ("", None),
        ("-1-2-3", None),
        ("1-2-3 ", None),
        ("1-2-\u0663", None),
        ("1" * 19 + "-0-0", None),
    ],
)
def test_an_id_names_a_position_or_nothing(text: str, expected: Position | None) -> None:
    assert read_position(text) == expected


def test_a_position_is_told_as_it_is_read() -> None:
    assert read_position(str(Position(5, 0, 17))) == Position(5, 0, 17)


@pytest.mark.parametrize(
    ("mine", "other", "expected"),
    [((2, 2, 2), (2, 2, 2), True), ((3, 2, 2), (2, 2, 2), True), ((3, 1, 2), (2, 2, 2), False)],
)
def test_who_covers_whom(mine: tuple[int, int, int], other: tuple[int, int, int], expected: bool) -> None:
    assert Position(*mine).covers(Position(*other)) is expected
