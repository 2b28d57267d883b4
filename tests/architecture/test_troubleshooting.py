"""The page of symptoms quotes the software: each error text on it stands in the code, or it is looked for in vain."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "troubleshooting.md"
ROOMS = ("orchestration", "serving", "keeper", "models")
_FIRST_CELL = re.compile(r"^\| (?!you see|---)(.*?) \| ", re.MULTILINE)
_QUOTED = re.compile(r"`([^`]*)`")


def sources() -> str:
    """Every line of code, with the pieces of split texts joined and what is filled in left out."""
    paths = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))] + [ROOT / "Makefile"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in paths)
    joined = re.sub(r'"\s*\n\s*f?"', "", text)
    return re.sub(r"\{[^{}]*\}", "...", joined)


def quotes() -> list[str]:
    cells = _FIRST_CELL.findall(PAGE.read_text(encoding="utf-8"))
    found = [quote for cell in cells for quote in _QUOTED.findall(cell)]
    return sorted({quote for quote in found if not quote.startswith(("ballast ", "make "))})


def test_there_are_quotes() -> None:
    assert len(quotes()) > 25


@pytest.mark.parametrize("quote", quotes())
def test_a_quoted_text_is_one_that_the_software_says(quote: str, code: str) -> None:
    assert quote in code


@pytest.fixture(scope="module")
def code() -> str:
    return sources()
