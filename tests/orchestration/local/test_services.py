"""The service table and the generated Dagster home: pure functions, read as tables, checked by the libraries."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from orchestration.local.dagster_home import dagster_yaml, workspace_yaml, write_home
from orchestration.local.database import Databases
from orchestration.local.environment import dbt_connection, library_environment
from orchestration.local.services import reachable, service_table
from orchestration.settings import Settings, load_settings, port_variables

URLS = Databases(
    "postgresql+psycopg2://u:secret@h/b", "postgresql+psycopg2://u:secret@h/d", "postgresql+psycopg2://h/m"
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"BALLAST_STATE": str(tmp_path), "BALLAST_THREADS": "3"})


def test_table(settings: Settings) -> None:
    table = {item.name: (item.port, item.variable, item.probe, item.after) for item in service_table(settings)}
    assert table == {
        "devnet": (8400, "BALLAST_DEVNET_PORT", None, ()),
        "api": (8000, "BALLAST_API_PORT", "/live", ()),
        "dagster-code": (4266, "BALLAST_CODE_PORT", None, ()),
        "mlflow": (5000, "BALLAST_MLFLOW_PORT", "/health", ()),
        "dagster": (3000, "BALLAST_DAGSTER_PORT", "/server_info", ("dagster-code",)),
        "dagster-daemon": (None, None, None, ("dagster-code",)),
    }


def test_every_port_setting_belongs_to_one_service(settings: Settings) -> None:
    ports = {item.variable: item.port for item in service_table(settings) if item.port is not None}
    assert ports == port_variables(settings)


def test_services_start_after_what_they_need(settings: Settings) -> None:
    seen: set[str] = set()
    for service in service_table(settings):
        assert seen.issuperset(service.after)
        seen.add(service.name)


def test_only_what_people_open_leaves_loopback(tmp_path: Path) -> None:
    opened = load_settings({"BALLAST_STATE": str(tmp_path), "BALLAST_HOST": "0.0.0.0"})
    hosts = {item.name: item.host for item in service_table(opened) if item.port is not None}
    assert {name for name, host in hosts.items() if host == "0.0.0.0"} == {"dagster", "mlflow", "api"}


@pytest.mark.parametrize(("host", "target"), [("0.0.0.0", "127.0.0.1"), ("10.0.0.5", "10.0.0.5"), ("::", "127.0.0.1")])
def test_wildcards_are_not_addresses(host: str, target: str) -> None:
    assert reachable(host) == target


def test_no_command_line_shows_a_password(settings: Settings) -> None:
    assert "secret" not in str(service_table(settings))
    assert "secret" not in yaml.safe_dump(dagster_yaml(settings))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BALLAST_DAGSTER_URL", URLS.dagster),
        ("BALLAST_SERVING_DATABASE_URL", URLS.ballast),
        ("MLFLOW_TRACKING_URI", URLS.mlflow),
        ("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false"),
        ("MLFLOW_DISABLE_TELEMETRY", "true"),
        ("DO_NOT_TRACK", "true"),
        ("DBT_SEND_ANONYMOUS_USAGE_STATS", "false"),
        ("OMP_NUM_THREADS", "3"),
        ("BALLAST_MARKET", "simulated"),
    ],
)
def test_environment_of_libraries(settings: Settings, variable: str, value: str) -> None:
    assert library_environment(settings, URLS)[variable] == value


def test_child_loads_the_same_settings(settings: Settings) -> None:
    assert load_settings(library_environment(settings, URLS)) == settings


def test_dagster_accepts_the_generated_instance(settings: Settings) -> None:
    from dagster._config import validate_config
    from dagster._core.instance.config import dagster_instance_config_schema

    checked = validate_config(dagster_instance_config_schema(), dagster_yaml(settings))
    assert checked.success, checked.errors


def test_dagster_yaml_keeps_history_bounded_and_runs_watched(settings: Settings) -> None:
    content = dagster_yaml(settings)
    assert content["telemetry"] == {"enabled": False}
    assert content["run_monitoring"]["enabled"] is True
    assert "default_limit" not in content["concurrency"]["pools"]
    assert content["retention"]["sensor"]["purge_after_days"]["skipped"] == 2


def test_home_is_written_once_and_follows_the_settings(settings: Settings, tmp_path: Path) -> None:
    home = write_home(settings)
    before = (home / "dagster.yaml").stat().st_mtime_ns
    moved = load_settings({"BALLAST_STATE": str(tmp_path), "BALLAST_CODE_PORT": "24266"})
    assert write_home(moved) == home
    assert (home / "dagster.yaml").stat().st_mtime_ns == before
    assert yaml.safe_load((home / "workspace.yaml").read_text()) == workspace_yaml(moved)
    assert sorted(path.name for path in home.iterdir()) == ["dagster.yaml", "workspace.yaml"]


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("postgresql+psycopg2://u:p%40ss@db.example:6543/b", ("db.example", "6543", "u", "p@ss", "b")),
        ("postgresql+psycopg2://postgres@/b?host=/state/postgres", ("/state/postgres", "5432", "postgres", "", "b")),
    ],
)
def test_dbt_gets_the_address_in_parts(url: str, parts: tuple[str, ...]) -> None:
    assert tuple(dbt_connection(url).values()) == parts
