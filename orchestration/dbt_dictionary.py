"""The data dictionary of dbt tables, written from the YAML beside the models: `python -m orchestration.dbt_dictionary`.

Here: rendering. The words live in the YAML, a test keeps the page and the YAML equal.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from orchestration.dbt_command import DBT_DIR
from orchestration.settings import PROJECT_ROOT

PAGE = PROJECT_ROOT / "docs" / "data_dictionary.md"
_LAYERS = {
    "staging": "Views on the raw tables: which revision is believed. Numbers become float8 here.",
    "features": "Explicit calendars, returns, volatility. `features.volatility` is what the models read.",
    "serving": "What the API reads. Column names and types are enforced by contract.",
}
_HEAD = """# Data dictionary

Tables and views that dbt builds. Generated from `dbt_project/models/**/*.yml` by
`python -m orchestration.dbt_dictionary`.

Tables of the schemas `raw`, `ops`, `ml`, `risk` and `keeper` are defined in `orchestration/migrations/versions`.
All times are UTC; missing stays missing.
"""


def _models(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*.yml")):
        found += yaml.safe_load(path.read_text(encoding="utf-8")).get("models", [])
    return found


def _table(layer: str, model: dict[str, Any]) -> str:
    rows = [f"| `{column['name']}` | {_line(column['description'])} |" for column in model["columns"]]
    head = [
        f"### {layer}.{model['name']}",
        "",
        _line(model["description"]),
        "",
        "| column | meaning (unit) |",
        "| --- | --- |",
    ]
    return "\n".join([*head, *rows, ""])


def _line(words: str) -> str:
    return " ".join(words.split()).replace("|", "\\|")


def render() -> str:
    """The page as Markdown, in the order of the layers."""
    parts = [_HEAD]
    for layer, about in _LAYERS.items():
        parts.append(f"## {layer}\n\n{about}\n")
        parts += [_table(layer, model) for model in _models(DBT_DIR / "models" / layer)]
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
