"""The runbook keeps up with the code: an entry for each alert, links that lead somewhere, commands that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from keeper.alerts.alert import RUNBOOK, AlertName, anchor
from orchestration.local.cli import build_parser
from orchestration.settings import ALERT_OPTIONS, ALERT_SECRET_VARIABLES
from tests.architecture.tree import ROOT

GUIDES = [f"docs/guides/{name}.md" for name in ("data_engineers", "ml_engineers", "api_users", "operators")]
PAGES = (
    RUNBOOK, "docs/alerts.md", "docs/operations.md", "docs/observability.md", "docs/troubleshooting.md",
    "docs/deployment.md", *GUIDES,
)  # fmt: skip
INTRODUCTION = "Runbook"
PARTS = ("**Means.**", "**Urgency.**", "**Done by itself.**", "**Decide.**", "**Over**")
STANDS_FOR = {"INTENT": "00000000-0000-0000-0000-000000000000", "ID": "mixed", "NAME": "slack", "DIR": "/data"}


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def headings(page: str) -> list[str]:
    prose = re.sub(r"^```.*?^```", "", text_of(page), flags=re.M | re.S)  # a comment of a shell is no heading
    return re.findall(r"^#+ (.+)$", prose, flags=re.M)


def anchors(page: str) -> set[str]:
    """As GitHub makes them: lower case, spaces to hyphens, no other signs than hyphen and underscore."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings(page)}


def entries() -> dict[str, str]:
    parts = re.split(r"^## (.+)$", text_of(RUNBOOK), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def commands(page: str) -> list[str]:
    """Every `ballast ...` of a page, from blocks and from inline code; a name alone (`ballast`) is none."""
    text = text_of(page)
    blocks = re.findall(r"^```\n(.*?)^```", text, flags=re.M | re.S)
    lines = [line.split(" #")[0].strip() for block in blocks for line in block.splitlines()]
    inline = re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))
    return [" ".join(found.split()) for found in (*lines, *inline) if found.startswith("ballast ")]


def rules() -> list[str]:
    """Names of the alerts that Prometheus raises; some are those of our own."""
    groups = yaml.safe_load(text_of("deploy/prometheus/ballast.rules.yml"))["groups"]
    return [rule["alert"] for group in groups for rule in group["rules"]]


NAMES = sorted({*AlertName, *rules()})


def test_each_alert_has_one_entry_and_each_entry_an_alert() -> None:
    assert sorted(headings(RUNBOOK)) == sorted([INTRODUCTION, *NAMES])


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_says_everything_in_the_same_order(name: str) -> None:
    entry = entries()[name]
    places = [entry.find(part) for part in PARTS]
    assert -1 not in places
    assert places == sorted(places)
    assert "\nballast " in entry, "the first command to run stands in a block"


@pytest.mark.parametrize("name", NAMES)
def test_the_link_of_an_alert_leads_to_its_entry(name: str) -> None:
    page, _, place = anchor(name).partition("#")
    assert place in anchors(page)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", text_of(page)):
        name, _, place = target.partition("#")
        if "://" in name:
            continue
        found = (ROOT / page).parent / name if name else ROOT / page
        assert found.is_file(), target
        assert not place or place in anchors(str(Path(found).resolve().relative_to(ROOT))), target


@pytest.mark.parametrize(
    ("page", "command"), [(page, command) for page in PAGES for command in sorted({*commands(page)})]
)
def test_a_command_is_one(page: str, command: str) -> None:
    words = [STANDS_FOR.get(word, word) for word in shlex.split(command)[1:]]
    if words[-1] == "--help":  # it prints and exits
        words = [*words[:-1], "status"]
    try:
        build_parser().parse_args(words)
    except SystemExit:
        pytest.fail(f"{page}: `{command}` is refused")


def test_every_setting_of_alerts_is_told() -> None:
    told = text_of("docs/alerts.md")
    assert [name for name in (*ALERT_OPTIONS, *ALERT_SECRET_VARIABLES) if name not in told] == []


def test_no_setting_is_told_that_is_none() -> None:
    told = set(re.findall(r"\b(?:BALLAST_)?ALERT_[A-Z_]+\b", text_of("docs/alerts.md")))
    known = {*ALERT_OPTIONS, *ALERT_SECRET_VARIABLES, *(f"{name}_FILE" for name in ALERT_SECRET_VARIABLES)}
    assert told - known == set()
