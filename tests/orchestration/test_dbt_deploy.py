"""When views have to be made anew: another definition, another command, another database, or views that are gone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from orchestration import dbt_command
from orchestration.dbt_deploy import deploy_key, deployed_relations, is_deployed, mark_deployed
from orchestration.settings import PROJECT_ROOT


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("target")
    dbt_command.parse(folder)
    return folder


def _touch(name: str, more: str) -> Callable[[Path], None]:
    def touch(root: Path) -> None:
        path = root / name
        path.write_text(path.read_text(encoding="utf-8") + more, encoding="utf-8")

    return touch


def _rename(root: Path) -> None:
    (root / "dbt_project/models/serving/market.sql").rename(root / "dbt_project/models/serving/markets.sql")


@pytest.mark.parametrize(
    ("change", "is_another"),
    [
        (_touch("dbt_project/models/serving/market.sql", "\n-- more"), True),
        (_touch("dbt_project/macros/kept_view.sql", "\n"), True),
        (_touch("dbt_project/dbt_project.yml", "\n  window: 1"), True),
        (_touch("orchestration/dbt.py", "\n"), True),
        (_touch("orchestration/dbt_command.py", "\n"), True),
        (_rename, True),
        (_touch("dbt_project/README.md", "more"), False),
    ],
)
def test_the_key_is_of_all_that_decides_the_views(
    tmp_path: Path, change: Callable[[Path], None], is_another: bool
) -> None:
    shutil.copytree(PROJECT_ROOT / "dbt_project", tmp_path / "dbt_project")
    (tmp_path / "orchestration").mkdir()
    for name in ("dbt.py", "dbt_command.py"):
        shutil.copy(PROJECT_ROOT / "orchestration" / name, tmp_path / "orchestration" / name)
    before = deploy_key(tmp_path)
    assert before == deploy_key(PROJECT_ROOT)
    change(tmp_path)
    assert (deploy_key(tmp_path) != before) is is_another


def test_a_deploy_makes_views_the_calendar_and_nothing_hourly(target: Path) -> None:
    made = deployed_relations(target)
    assert {name.partition(".")[0] for name in made} == {"staging", "features", "serving"}
    assert [name for name in made if name.startswith("features.")] == ["features.calendar"]


def test_lost_views_and_other_versions_are_noticed(engine: Engine, target: Path) -> None:
    with engine.begin() as connection:

        def run(statement: str) -> None:
            connection.execute(text(statement))

        assert not is_deployed(connection, target)
        for name in deployed_relations(target):
            run(f"create view {name} as select 1 as one")
        assert not is_deployed(connection, target)  # nobody said that the deploy was whole
        mark_deployed(connection)
        assert is_deployed(connection, target)

        run("drop view serving.market")
        assert not is_deployed(connection, target)
        run("create view serving.market as select 1 as one")
        assert is_deployed(connection, target)

        run("comment on schema serving is 'deployed as another'")
        assert not is_deployed(connection, target)
