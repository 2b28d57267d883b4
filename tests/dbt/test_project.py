"""The project as files: it parses without a database, warns of nothing, and documents every column."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from orchestration import dbt_command

NOWHERE = {"BALLAST_PG_HOST": "/nonexistent", "BALLAST_PG_DBNAME": "nowhere"}


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    target = tmp_path_factory.mktemp("parse")
    said = dbt_command.run(["parse", "--show-all-deprecations", "--no-partial-parse"], target, NOWHERE)
    return json.loads((target / "manifest.json").read_text()), said


def _models(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]


def test_parses_without_a_database_and_without_a_warning(parsed: tuple[dict[str, Any], str]) -> None:
    assert not re.search(r"(?i)warn|deprecat", parsed[1]), parsed[1]


def test_every_model_and_column_is_described(parsed: tuple[dict[str, Any], str]) -> None:
    models = _models(parsed[0])
    bare = [model["name"] for model in models if not model["description"] or not model["columns"]]
    bare += [
        f"{model['name']}.{name}"
        for model in models
        for name, column in model["columns"].items()
        if len(column["description"]) < 8
    ]
    assert bare == []


def test_only_the_layer_that_others_read_has_contracts_and_all_of_it(parsed: tuple[dict[str, Any], str]) -> None:
    enforced = {model["schema"]: set() for model in _models(parsed[0])}
    for model in _models(parsed[0]):
        enforced[model["schema"]].add(model["config"]["contract"]["enforced"])
    assert enforced == {"staging": {False}, "features": {False}, "serving": {True}}


def test_schemas_are_the_layers_and_nothing_is_installed(parsed: tuple[dict[str, Any], str]) -> None:
    assert {model["schema"] for model in _models(parsed[0])} == {"staging", "features", "serving"}
    assert not (dbt_command.DBT_DIR / "packages.yml").exists()


def test_the_manifest_is_parsed_once_and_again_after_a_change(tmp_path: Path) -> None:
    with pytest.raises(dbt_command.DbtError, match="ballast dbt-parse"):
        dbt_command.existing_manifest(tmp_path)
    manifest = dbt_command.parse(tmp_path)
    written = manifest.stat().st_mtime_ns
    assert dbt_command.parse(tmp_path) == dbt_command.existing_manifest(tmp_path) == manifest
    assert manifest.stat().st_mtime_ns == written


def test_a_failure_names_the_log_and_says_why(tmp_path: Path) -> None:
    with pytest.raises(dbt_command.DbtError, match=r"dbt run failed \(log: .*dbt\.log\)(?s:.*)nonexistent"):
        dbt_command.run(["run", "--select", "calendar"], tmp_path, NOWHERE)
