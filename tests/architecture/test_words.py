"""What must not stand in the repository: secrets, paths of one machine, promises instead of work."""

from __future__ import annotations

import re

import pytest

from tests.architecture.tree import relative, tracked

THIS_FILE = "tests/architecture/test_words.py"
VENDORED = "serving/page/vendor/"  # as their authors published them
TEXT = (".py", ".sql", ".md", ".yaml", ".yml", ".toml", ".html", ".js", ".css", ".sh", "")
FORBIDDEN = {
    "a path of one machine": r"/home/\w+/|/root/|/Users/\w+/",
    "a promise instead of work": r"\b(TODO|FIXME|XXX)\b|NotImplementedError\(\)",
    "a disabled test": r"pytest\.mark\.(skip|skipif|xfail)|pytest\.xfail\(|unittest\.skip",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "a cloud key": r"\bAKIA[0-9A-Z]{16}\b",
    "a Stellar secret seed": r"\bS[A-D][A-Z2-7]{54}\b",
    "a key in a URL": r"(?i)(app_id|access_key|api_?key|apikey)=[0-9a-f]{12,}",
}


@pytest.mark.parametrize("what", sorted(FORBIDDEN))
def test_nothing_tracked_holds(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what])
    found = []
    for path in tracked(*TEXT):
        name = relative(path)
        if name in (THIS_FILE, "LICENSE") or name.startswith(VENDORED):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            if pattern.search(line):
                found.append(f"{name}:{number}")
    assert found == []
