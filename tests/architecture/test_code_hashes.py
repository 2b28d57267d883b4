"""The code hash of a kind of run covers all the code that can change a number of it.

From what each kind enters by, imports are followed through `models`, also those inside functions: a module outside of
`SOURCES` could be changed and old runs would still seem to be the newest answer.
"""

from __future__ import annotations

import pytest

from models.contracts.runs import RunKind
from models.runs.identity import SOURCES
from models.runs.kinds import KINDS
from tests.architecture.tree import imports, parse, relative, sources

MODULES = {
    relative(path).removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in sources("models")
}


def reached(entries: set[str]) -> set[str]:
    """Modules of `models` that these import, directly or not, with themselves."""
    found, ahead = set[str](), set(entries)
    while ahead:
        module = ahead.pop()
        found.add(module)
        parents = {module.rsplit(".", n)[0] for n in range(1, module.count("."))}
        named = {item.module for item in imports(parse(MODULES[module]))} | parents
        ahead |= {name for name in named if name in MODULES} - found
    return found


def entries_of(kind: RunKind) -> set[str]:
    """Where the functions live that make a kind's plans."""
    return {KINDS[kind].plan.__module__, KINDS[kind].replan.__module__}


@pytest.mark.parametrize("kind", list(RunKind))
def test_whatever_a_run_imports_is_in_its_code_hash(kind: RunKind) -> None:
    files = {relative(MODULES[module]) for module in reached(entries_of(kind))}
    assert len(files) > 20
    assert [file for file in sorted(files) if not file.startswith(tuple(f"{f}/" for f in SOURCES[kind]))] == []
