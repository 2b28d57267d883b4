"""Stages one after the other: a failed one is told and the others run; a defect is not taken for a failure."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from orchestration.bench.document import Outcome, Unmeasured
from orchestration.bench.http_load import LoadError
from orchestration.local.bench_stages import Stage, run_stages
from orchestration.local.measured import ChildFailed
from orchestration.resources.database_errors import DatabaseUnavailable


class Heard:
    """A progress that remembers."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, ...]] = []

    def started(self, stage: str) -> None:
        self.lines.append(("started", stage))

    def finished(self, stage: str, rows: int | None = None, detail: str = "") -> None:
        self.lines.append(("finished", stage))

    def failed(self, stage: str, reason: str) -> None:
        self.lines.append(("failed", stage, reason))

    def note(self, text: str) -> None:
        self.lines.append(("note", text))


def _good() -> dict[str, Any]:
    return {"figure": 1}


def _raising(error: Exception) -> Stage:
    def work() -> dict[str, Any]:
        raise error

    return Stage("bad", work)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ChildFailed("exit code 3: a | b"), "ChildFailed: exit code 3: a | b"),
        (LoadError("GET /x answered 503"), "LoadError: GET /x answered 503"),
        (Unmeasured("promoted_champions is 0"), "Unmeasured: promoted_champions is 0"),
        (DatabaseUnavailable("gone\nquite"), "DatabaseUnavailable: gone quite"),
        (FileNotFoundError(2, "no file", "found.json"), "FileNotFoundError: [Errno 2] no file: 'found.json'"),
    ],
)
def test_a_failed_stage_is_told_and_the_others_run(error: Exception, reason: str) -> None:
    heard, kept = Heard(), []

    def keep(outcome: Outcome) -> None:
        kept.append((sorted(outcome.found), sorted(outcome.failed)))

    stages = (Stage("first", _good), _raising(error), Stage("after", _good, ("bad",)), Stage("last", _good, ("first",)))
    outcome = run_stages(stages, heard, keep)
    assert outcome.found == {"first": {"figure": 1}, "last": {"figure": 1}}
    assert outcome.failed == {"bad": reason, "after": "it needs what failed or has not run: bad"}
    assert list(outcome.seconds) == ["first", "bad", "after", "last"]
    assert kept == [
        (["first"], []),
        (["first"], ["bad"]),
        (["first"], ["after", "bad"]),
        (["first", "last"], ["after", "bad"]),
    ]
    assert ("failed", "bad", reason) in heard.lines
    assert [line[0] for line in heard.lines if line[0] != "started"] == ["finished", "failed", "failed", "finished"]


def test_a_refusing_database_is_a_failure() -> None:
    outcome = run_stages([_raising(OperationalError("select 1", {}, Exception("no")))], Heard(), lambda _: None)
    assert outcome.failed["bad"].startswith("OperationalError: ")


def test_a_defect_is_no_failed_stage() -> None:
    with pytest.raises(ZeroDivisionError):
        run_stages([_raising(ZeroDivisionError())], Heard(), lambda _: None)
