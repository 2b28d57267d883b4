"""Log lines: one schema, whoever writes; nothing that others say breaks a line, hides a field or shows a secret."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.contracts.log_lines import CONTEXT, AccessLog, LineFormatter, LogChoice, LogFormat, log_choice
from models.contracts.scrub import scrubber_of

SECRET = "s3cr/t-value"


def line(form: LogFormat, message: str, *arguments: object, **extra: Any) -> str:
    error = extra.pop("error", None)
    record = logging.LogRecord("ballast.x", logging.WARNING, "f.py", 1, message, arguments, error)
    record.created = 1_767_225_600.25  # 2026-01-01
    record.__dict__.update(extra)
    return LineFormatter("api", form, scrubber_of([SECRET])).format(record)


def told(message: str, *arguments: object, **extra: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(line(LogFormat.JSON, message, *arguments, **extra))
    return found


def test_a_line_of_json() -> None:
    assert told("took %s", 3, fields={"status": 200}) == {
        "ts": "2026-01-01T00:00:00.250+00:00", "level": "warning", "logger": "ballast.x", "message": "took 3",
        "service": "api", "status": 200,
    }  # fmt: skip


def test_a_line_of_text() -> None:
    expected = "2026-01-01T00:00:00.250+00:00 WARNING ballast.x took 3 status=200"
    assert line(LogFormat.TEXT, "took %s", 3, fields={"status": 200}) == expected


def test_a_request_and_a_job_name_themselves() -> None:
    token = CONTEXT.set({"request_id": "r1"})
    try:
        assert told("x")["request_id"] == "r1"
    finally:
        CONTEXT.reset(token)
    assert "request_id" not in told("x")
    meta = {"run_id": "d1", "job_name": "training", "step_key": None}
    found = told("x", dagster_meta=meta)
    assert (found["run_id"], found["job"], "step" in found) == ("d1", "training", False)


def test_a_field_never_hides_one_of_the_schema() -> None:
    assert told("x", fields={"level": "info", "service": "other"})["level"] == "warning"


@pytest.mark.parametrize("form", list(LogFormat))
def test_no_secret_is_written(form: LogFormat) -> None:
    try:
        raise ValueError(f"no {SECRET}")
    except ValueError:
        written = line(
            form, "key %s at postgresql://bob:hunter22@db/x", SECRET, error=sys.exc_info(), fields={"a": {"b": SECRET}}
        )
    assert "ValueError" in written
    assert SECRET not in written
    assert "hunter22" not in written


def test_a_traceback_is_in_the_line() -> None:
    try:
        raise ValueError("why")
    except ValueError:
        error = told("x", error=sys.exc_info())["error"]
    assert (error["type"], error["message"]) == ("ValueError", "why")
    assert error["trace"].startswith("Traceback")


@given(st.text(), st.dictionaries(st.text(min_size=1), st.floats() | st.text() | st.none()))
def test_whatever_is_said_stays_one_line(message: str, fields: dict[str, Any]) -> None:
    written = line(LogFormat.JSON, "%s", message, fields=fields)
    assert written.splitlines() == [written]
    assert json.loads(written)["service"] == "api"
    assert "\n" not in line(LogFormat.TEXT, "%s", message, fields=fields)


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, LogChoice()),
        (
            {"BALLAST_LOG_FORMAT": "json", "BALLAST_LOG_LEVEL": "DEBUG", "BALLAST_LOG_ACCESS": "all"},
            LogChoice(LogFormat.JSON, "debug", AccessLog.ALL),
        ),
    ],
)
def test_settings(env: dict[str, str], expected: LogChoice) -> None:
    assert log_choice(env) == expected


@pytest.mark.parametrize("name", ["FORMAT", "LEVEL", "ACCESS"])
def test_a_wrong_setting_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"BALLAST_LOG_{name}: 'odds' is not"):
        log_choice({f"BALLAST_LOG_{name}": "odds"})
