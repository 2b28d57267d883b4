"""dbt models as Dagster assets, dbt tests as asset checks.

Key = [schema, table], group = layer, both from the physical address. The serving views are a definition of their own:
they stand on scores, which stand on features. Loading needs an existing manifest and never parses (two processes
parsing at once race for the same files).
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dagster as dg
from packaging.version import Version, parse

from orchestration import keys, quiet
from orchestration.dbt_command import DBT_DIR, EXECUTABLE, existing_manifest
from orchestration.dbt_deploy import DEPLOY_TAG

with quiet.libraries():  # it imports sqlglotrs, which warns of its own end (dagster-dbt 0.29.27)
    from dagster_dbt import (
        DagsterDbtTranslator,
        DagsterDbtTranslatorSettings,
        DbtCliResource,
        DbtProject,
        build_dbt_asset_selection,
        dbt_assets,
    )

POOL = "dbt"  # one dbt run at a time: two of them deadlock on DDL (dbt-core#2801)
ONLY_AT_DEPLOY = f"tag:{DEPLOY_TAG}"
_BUILD = ("build", "--exclude-resource-type", "unit_test")  # unit tests judge the software: the test suite runs them


class Dbt(DbtCliResource):
    """The dbt of this environment. Its version is read from the installed package: asking the command takes 1.5 s."""

    @property
    def _cli_version(self) -> Version:
        return parse(version("dbt-core"))


class Translator(DagsterDbtTranslator):
    """The key of a table is its address; its group is its layer."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        table = dbt_resource_props.get("identifier") or dbt_resource_props.get("alias") or dbt_resource_props["name"]
        return dg.AssetKey([dbt_resource_props["schema"], table])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        return str(dbt_resource_props["schema"])

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        """Features wait for the gap scan: the views between them and the raw tables take no part in the hourly run,
        and without them nothing else would keep features behind ingestion."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        if spec.key.path[0] != "features":
            return spec
        return spec.merge_attributes(deps=[keys.GAPS])


def dbt_resource() -> Dbt:
    return Dbt(project_dir=str(DBT_DIR), profiles_dir=str(DBT_DIR), dbt_executable=str(EXECUTABLE))


@cache
def _translator() -> Translator:
    return Translator(settings=DagsterDbtTranslatorSettings(enable_asset_checks=True))


@cache
def _manifest(path: Path) -> Mapping[str, Any]:
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return manifest


@cache
def dbt_definitions(target: Path) -> tuple[dg.AssetsDefinition, ...]:
    """Assets of the manifest under `target`: tables (staging, features) and serving views. Resource key: `dbt`.

    Raises DbtError where there is no manifest.
    """
    manifest = _manifest(existing_manifest(target))
    return tuple(_build(manifest, target, name, select) for name, select in _PARTS.items())


_PARTS = {"dbt_tables": "staging features", "dbt_serving": "serving"}


def _build(manifest: Mapping[str, Any], target: Path, name: str, select: str) -> dg.AssetsDefinition:
    @dbt_assets(manifest=manifest, select=select, name=name, dagster_dbt_translator=_translator(), pool=POOL)
    def build(context: dg.AssetExecutionContext, dbt: Dbt) -> Iterator[Any]:
        # The same folder every time: the parse of the run before is reused, and nothing piles up.
        with quiet.libraries():  # it still asks Dagster for names that Dagster has deprecated
            invocation = dbt.cli([*_BUILD], context=context, target_path=target / name)
        yield from invocation.stream()

    return build


def deploy_selection(target: Path) -> dg.AssetSelection:
    """The models that change with the software only: the views of staging and all of serving."""
    tables, serving = dbt_definitions(target)
    return build_dbt_asset_selection([tables], dbt_select=ONLY_AT_DEPLOY) | dg.AssetSelection.assets(serving)


def hourly_selection(target: Path) -> dg.AssetSelection:
    """The models that change with the data, in one dbt run: what the hourly tick builds."""
    return build_dbt_asset_selection(
        list(dbt_definitions(target))[:1],
        dbt_select=_PARTS["dbt_tables"],
        dbt_exclude=ONLY_AT_DEPLOY,
    )
