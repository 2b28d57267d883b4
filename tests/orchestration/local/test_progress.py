"""Progress lines: plain where nobody watches, live on a terminal, never two live displays at once."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from orchestration.local.progress import ConsoleProgress, describe


def ticking() -> Iterator[float]:
    seconds = 0.0
    while True:
        yield seconds
        seconds += 1.5


def progress(terminal: bool = False) -> tuple[ConsoleProgress, io.StringIO]:
    out = io.StringIO()
    ticks = ticking()
    console = Console(file=out, force_terminal=terminal, width=120, color_system=None)
    return ConsoleProgress(console, clock=lambda: next(ticks)), out


@pytest.mark.parametrize(
    ("rows", "seconds", "detail", "text"),
    [
        (None, 0.04, "", "0.0 s"),
        (0, 1.0, "", "0 rows, 1.0 s"),
        (1, 1.0, "", "1 row, 1.0 s"),
        (120_431, 12.34, "2 rejected", "120,431 rows, 12.3 s, 2 rejected"),
    ],
)
def test_describe(rows: int | None, seconds: float, detail: str, text: str) -> None:
    assert describe(rows, seconds, detail) == text


def test_plain_lines_carry_rows_and_seconds() -> None:
    target, out = progress()
    target.started("raw/candles")
    target.finished("raw/candles", 12)
    target.started("risk/scores")
    target.failed("risk/scores", "no champion [yet]")
    lines = out.getvalue().splitlines()
    assert lines[0].split() == ["ok", "raw/candles", "12", "rows,", "1.5", "s"]
    assert lines[1].startswith("fail  risk/scores")
    assert lines[1].endswith("no champion [yet]")


def test_plain_output_has_no_control_characters() -> None:
    target, out = progress()
    target.started("a")
    target.note("[bold]kept as typed[/]")
    target.finished("a")
    assert "\x1b" not in out.getvalue()
    assert "[bold]kept as typed[/]" in out.getvalue()


def test_terminal_survives_nested_and_unknown_stages() -> None:
    target, out = progress(terminal=True)
    target.started("outer")
    target.started("inner")
    target.finished("inner", 1)
    target.finished("outer")
    target.finished("never started")
    assert out.getvalue().count("ok    ") == 3
