"""Habits that keep the tree readable: one reader of the environment, cheap imports, charters, file sizes."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.tree import ROOMS, ROOT, imports, parse, relative, sources, tracked, within

ALL_SOURCES = [path for room in ROOMS for path in sources(room)]
SETTINGS = ("orchestration/settings.py", "serving/settings.py")
HEAVY = {
    "torch": (),
    "lightgbm": ("models/volatility/lightgbm_forecaster.py",),
    "mlflow": ("orchestration/resources/served_model.py",),  # only MLflow itself ever runs it
    "great_expectations": (),
    "shap": (),
}
MAX_LINES = 400
CLOCKS = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.monotonic"}


def _dotted(node: ast.AST) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([*([node.id] if isinstance(node, ast.Name) else []), *reversed(parts)])


def _uses(path: Path, names: set[str]) -> list[str]:
    return [
        f"{relative(path)}:{node.lineno} {_dotted(node)}"
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Attribute) and any(_dotted(node).endswith(name) for name in names)
    ]


def test_only_settings_read_the_environment() -> None:
    names = {"os.environ", "os.getenv", "os.putenv", "os.environb"}
    found = [use for path in ALL_SOURCES if relative(path) not in SETTINGS for use in _uses(path, names)]
    found += [
        f"{relative(path)}:{item.line} {item.module}"
        for path in ALL_SOURCES
        if relative(path) not in SETTINGS
        for item in imports(parse(path))
        if item.module in names
    ]
    assert found == []


@pytest.mark.parametrize("package", sorted(HEAVY))
def test_heavy_libraries_are_imported_where_used(package: str) -> None:
    found = [
        f"{relative(path)}:{item.line}"
        for path in ALL_SOURCES
        if relative(path) not in HEAVY[package]
        for item in imports(parse(path))
        if item.top_level and within(item.module, package)
    ]
    assert found == []


def test_numerical_code_never_reads_the_clock() -> None:
    pure = [*sources("models"), *(ROOT / "keeper" / name for name in ("decision.py", "limits.py", "intent.py"))]
    assert [use for path in pure if path.is_file() for use in _uses(path, CLOCKS)] == []


def test_package_markers_are_empty() -> None:
    assert [relative(path) for path in tracked(".py") if path.name == "__init__.py" and path.read_text().strip()] == []


def test_every_module_says_what_belongs_in_it() -> None:
    found = [path for path in ALL_SOURCES if path.name != "__init__.py" and not ast.get_docstring(parse(path))]
    assert [relative(path) for path in found] == []


def test_no_file_outgrows_one_concept() -> None:
    lines = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in ALL_SOURCES}
    assert {name: count for name, count in lines.items() if count > MAX_LINES} == {}


def test_the_command_line_starts_without_heavy_imports() -> None:
    heavy = {"dagster", "mlflow", "pandas", "great_expectations", "torch", "lightgbm", "dbt"}
    code = f"import sys, orchestration.local.cli; print(sorted(set({sorted(heavy)}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
