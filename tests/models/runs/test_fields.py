"""Fields of a request: both sides of each rule, and that the schema says what the reader does."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.backtest import intervals, placebo
from models.backtest.request import REQUEST
from models.runs import bounds
from models.runs.fields import Choice, Day, Field, Number, Part, Several, Text, read_all, schema_of, shown
from models.runs.plan import RequestError

NAME = Text("a name", r"[a-z]{1,3}", "abc", required=True)
COUNT = Number("a count", 1, 3, 2, whole=True)
SHARE = Number("a share", 0, 1)
COLOUR = Choice("a colour", ("red", "green"), "red")
COLOURS = Several("colours", ("red", "green", "blue"))
INNER = Part("shares", {"one": SHARE})
FIELDS: dict[str, Field] = {
    "name": NAME, "count": COUNT, "colour": COLOUR, "colours": COLOURS, "inner": INNER, "day": Day("a day"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value", "read"),
    [
        (NAME, "abc", "abc"),
        (COUNT, 1, 1),
        (COUNT, 3, 3),
        (SHARE, 0, 0.0),
        (SHARE, 1.0, 1.0),
        (COLOURS, ["blue", "red"], ("red", "blue")),
        (COLOURS, [], ()),
        (INNER, {"one": 0.5}, {"one": 0.5}),
    ],
)
def test_what_is_read(field: Field, value: object, read: object) -> None:
    assert field.read("x", value) == read


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        (NAME, "abcd", "x: must be text like abc, not 'abcd'"),
        (NAME, "abc\n", r"x: must be text like abc, not 'abc\n'"),
        (COUNT, 0, "x: must be a whole number from 1 to 3, not 0"),
        (COUNT, 4, "not 4"),
        (COUNT, 2.0, "not 2.0"),
        (COUNT, False, "not false"),
        (SHARE, -1e-9, "x: must be a number from 0 to 1, not -1e-09"),
        (SHARE, float("nan"), "not nan"),
        (SHARE, None, "not null"),
        (COLOUR, "blue", "x: must be one of red, green, not 'blue'"),
        (COLOURS, {"red"}, "x: must be a list of red, green, blue"),
        (COLOURS, ["red", "pink"], "x.1: must be one of red, green, blue, not 'pink'"),
        (COLOURS, ["red", "red"], "x: names one twice"),
        (INNER, {"two": 1}, "x.two: no such field; there are one"),
        (INNER, [1], "x: must be an object with fields, not a list"),
        (Day("a day"), "2024-1-1", "x: must be a day like 2024-01-31, not '2024-1-1'"),
        (Day("a day"), "1969-12-31", "x: must lie from 1970 to 2199"),
    ],
)
def test_what_is_refused(field: Field, value: object, told: str) -> None:
    with pytest.raises(RequestError) as refused:
        field.read("x", value)
    assert told in str(refused.value)
    assert str(refused.value).startswith(f"{refused.value.field}: ")


def test_defaults_and_what_must_be_said() -> None:
    assert read_all(FIELDS, {"name": "a"}) == {
        "name": "a", "count": 2, "colour": "red", "colours": None, "inner": None, "day": None,
    }  # fmt: skip
    assert read_all(FIELDS, {"name": "a", "count": None})["count"] == 2
    with pytest.raises(RequestError, match="name: is missing: a name"):
        read_all(FIELDS, {"count": 1})


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("é\ud800", r"'\xe9\ud800'"),
        (10**400, "a number of that size"),
        ({}, "an object"),
        ("x" * 99, f"'{'x' * 59}..."),
    ],
)
def test_whatever_was_received_is_shown_short_and_plain(value: object, told: str) -> None:
    assert shown(value) == told


# The schema knows no difference between 2 and 2.0; nobody who reads it does.
SOME = st.none() | st.booleans() | st.integers(-1, 5) | st.sampled_from([0.5, 2.5, "a", "red", "2024-01-31", "x y", ""])
BODIES = st.dictionaries(
    st.sampled_from([*FIELDS, "else"]),
    SOME | st.lists(SOME, max_size=3) | st.dictionaries(st.sampled_from(["one", "two"]), SOME, max_size=2),
)


@given(BODIES)
def test_the_schema_says_what_the_reader_does(body: dict[str, Any]) -> None:
    body = {name: value for name, value in body.items() if value is not None}
    checker = jsonschema.Draft202012Validator(schema_of(FIELDS), format_checker=jsonschema.FormatChecker())
    try:
        read_all(FIELDS, body)
        is_read = True
    except RequestError:
        is_read = False
    assert checker.is_valid(body) == is_read


def test_bounds_are_those_of_what_computes() -> None:
    assert bounds.REPETITIONS == intervals.REPETITIONS
    assert bounds.MOST_SHIFTS == placebo.SHIFTS
    jsonschema.Draft202012Validator.check_schema(schema_of(REQUEST))
