"""What the page is made of: served as it stands, vendored as recorded, nothing else reachable."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from serving.app import create_app
from serving.settings import ServingSettings

FOLDER = Path(__file__).parents[3] / "serving" / "page"
VENDOR = FOLDER / "vendor"
SCRIPTS = sorted(path.relative_to(FOLDER).as_posix() for path in (FOLDER / "js").rglob("*.js"))


@pytest.fixture(scope="module")
def away() -> Iterator[TestClient]:
    """The page needs no database."""
    with TestClient(create_app(ServingSettings("postgresql+psycopg2://nobody@127.0.0.1:1/none"))) as client:
        yield client


def test_vendored_files_are_those_that_were_recorded() -> None:
    sums = dict(reversed(line.split()) for line in (VENDOR / "SHA256SUMS").read_text().splitlines())
    assert sums == {name: hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() for name in sums}
    named = {
        f"{package}-{about['version']}/{Path(file).name}"
        for package, about in json.loads((VENDOR / "vendored.json").read_text()).items()
        for file in about["files"]
    }
    assert named == set(sums)
    assert {path.relative_to(VENDOR).as_posix() for path in VENDOR.glob("*/*")} == named


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html"),
        ("/page/js/app.js", "text/javascript"),
        ("/page/css/base.css", "text/css"),
        ("/page/icon.svg", "image/svg+xml"),
    ],
)
def test_parts_are_served_with_their_type_and_asked_for_again(away: TestClient, path: str, kind: str) -> None:
    answer = away.get(path)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, kind)
    assert answer.headers["cache-control"] == "no-cache"


def test_a_vendored_file_has_its_version_in_its_path_and_lasts(away: TestClient) -> None:
    (script,) = re.findall(r'"\.\./(vendor/[^"]+)"', (FOLDER / "js/chart.js").read_text())
    assert "immutable" in away.get(f"/page/{script}").headers["cache-control"]


def test_the_policy_lets_nothing_in_from_elsewhere(away: TestClient) -> None:
    policy = away.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert set(re.findall(r"-src ('[^']+')", policy)) == {"'none'", "'self'"}


@pytest.mark.parametrize("path", ["app.py", "../app.py", "..%2Fapp.py", "%2e%2e/app.py", "vendor/fetch.sh", "", "js",
                                  "vendor/vendored.json", "js/app.js%00", "/etc/passwd", "index.html"])  # fmt: skip
def test_nothing_else_is_reachable(away: TestClient, path: str) -> None:
    answer = away.get(f"/page/{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_imports_what_is_there_and_makes_no_markup_of_text(script: str) -> None:
    source = (FOLDER / script).read_text()
    for name in re.findall(r'from "([^"]+)"', source):
        assert (FOLDER / script).parent.joinpath(name).resolve().is_file(), name
    assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|https?://", source) == []
    assert len(source.splitlines()) <= 250


def test_every_part_is_loaded_by_the_page() -> None:
    reached, ahead = set[str](), {"js/app.js", "js/early.js"}
    while ahead:
        script = ahead.pop()
        reached.add(script)
        found = re.findall(r'from "([^"]+)"', (FOLDER / script).read_text())
        names = {(FOLDER / script).parent.joinpath(name).resolve().relative_to(FOLDER).as_posix() for name in found}
        ahead |= {name for name in names if not name.startswith("vendor/")} - reached
    assert sorted(reached) == SCRIPTS
