"""The source tree as the architecture rules see it: tracked Python files and what each imports, read by AST."""

from __future__ import annotations

import ast
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("models", "keeper", "serving", "orchestration")


@dataclass(frozen=True)
class Import:
    """`module` as written; `top_level` True when importing the file performs it (not for the eyes of mypy only)."""

    module: str
    line: int
    top_level: bool


def _listed() -> list[str]:
    """What git knows, or every file outside build output where there is no git (an unpacked archive)."""
    if (ROOT / ".git").exists() and shutil.which("git"):
        command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    places = [ROOT / name for name in (*ROOMS, "tests", "dbt_project", "docs", "deploy", ".ci")]
    files = [path for place in places for path in place.rglob("*") if not {"target", "__pycache__"} & set(path.parts)]
    return [path.relative_to(ROOT).as_posix() for path in [*files, *ROOT.glob("*.*")] if path.is_file()]


def tracked(*suffixes: str) -> list[Path]:
    """Files that are or would be committed, sorted, so that build output and state never count."""
    paths = sorted({ROOT / name for name in _listed() if name})
    return [path for path in paths if path.is_file() and (not suffixes or path.suffix in suffixes)]


def sources(room: str) -> list[Path]:
    return [path for path in tracked(".py") if path.is_relative_to(ROOT / room)]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports(tree: ast.Module) -> list[Import]:
    """Every import of a file. Those under `if TYPE_CHECKING:` never run, but still tie two rooms together."""
    found: list[Import] = []

    def visit(node: ast.AST, top_level: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                found.extend(Import(alias.name, child.lineno, top_level) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                module = "." * child.level + (child.module or "")
                found.append(Import(module, child.lineno, top_level))
                found.extend(Import(f"{module}.{alias.name}", child.lineno, top_level) for alias in child.names)
            else:
                later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                visit(child, top_level and not later and not _only_for_types(child))

    visit(tree, True)
    return found


def _only_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")
