"""Whether a database has the views of the installed software, and the mark that says so.

The mark stands in the database, as the comment of the schema `serving`: a restored backup, a database that was dropped
or one that another version deployed to in between tells for itself what it holds.
"""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import Connection, text

from orchestration.dbt_command import DBT_DIR, existing_manifest
from orchestration.settings import PROJECT_ROOT

DEPLOY_TAG = "deploy"  # on models that change with the software and not with the data
# The project, and how it is called: selection, variables, settings of the command.
_CODE = ("dbt.py", "dbt_command.py")
_PACKAGES = ("dbt-core", "dbt-postgres")


def deploy_key(root: Path = PROJECT_ROOT) -> str:
    """Hash of everything that decides what a deploy makes: the project, the code that calls it, dbt itself."""
    project = [path for path in (root / DBT_DIR.name).rglob("*") if path.suffix in (".sql", ".yml") and path.is_file()]
    digest = hashlib.sha256("".join(f"{name} {version(name)}\n" for name in _PACKAGES).encode())
    for path in sorted([*project, *(root / "orchestration" / name for name in _CODE)]):
        digest.update(f"{path.relative_to(root).as_posix()}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def deployed_relations(target: Path) -> list[str]:
    """`schema.name` of all that a deploy makes, from the manifest under `target`. Raises DbtError without one."""
    nodes = json.loads(existing_manifest(target).read_text(encoding="utf-8"))["nodes"].values()
    models = (node for node in nodes if node["resource_type"] == "model" and DEPLOY_TAG in node["tags"])
    return sorted(f"{node['schema']}.{node['alias']}" for node in models)


def is_deployed(connection: Connection, target: Path) -> bool:
    """Whether the last deploy to this database was of this software, and everything it made is still there."""
    found = connection.execute(
        text(
            "select obj_description(to_regnamespace('serving'), 'pg_namespace') as mark,"
            " (select count(*) from unnest(cast(:names as text[])) as name where to_regclass(name) is null) as missing"
        ),
        {"names": deployed_relations(target)},
    ).one()
    return bool(found.mark == _mark() and found.missing == 0)


def mark_deployed(connection: Connection) -> None:
    """Say in the database that a deploy of this software succeeded."""
    connection.execute(text(f"comment on schema serving is '{_mark()}'"))


def _mark() -> str:
    return f"What the API reads; views of dbt, deployed as {deploy_key()}."
