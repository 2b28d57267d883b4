"""`ballast service` and `ballast exec`: one process of the stack, as something else starts it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from orchestration.local import cli
from orchestration.local.commands.service import NAMES, PREPARE
from orchestration.local.dagster_home import workspace_yaml
from orchestration.local.services import service_table
from orchestration.settings import load_settings

URL = "postgresql://u:hidden@db.example/ballast"
APART = {"BALLAST_HOST": "0.0.0.0", "BALLAST_CODE_HOST": "code", "BALLAST_DEVNET_HOST": "chain"}


@pytest.fixture
def became(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, str]]]:
    """What this process would have become: arguments and environment."""
    found: list[tuple[list[str], dict[str, str]]] = []

    def become(program: str, argv: list[str], environment: dict[str, str]) -> None:
        assert program == argv[0]
        found.append((argv, environment))
        raise SystemExit(0)

    monkeypatch.setattr("os.execvpe", become)
    (tmp_path / "url").write_text(f"{URL}\n", encoding="utf-8")
    for name, value in {"BALLAST_STATE": str(tmp_path), "DATABASE_URL_FILE": str(tmp_path / "url"), **APART}.items():
        monkeypatch.setenv(name, value)
    return found


def run(*arguments: str) -> None:
    with pytest.raises(SystemExit):
        cli.main(arguments)


def test_every_service_has_a_name() -> None:
    assert {item.name for item in service_table(load_settings({}))} == {*NAMES} - {PREPARE}


@pytest.mark.parametrize("name", [name for name in NAMES if name != PREPARE])
def test_it_becomes_the_process_with_the_addresses_in_its_environment(
    name: str, became: list[tuple[list[str], dict[str, str]]]
) -> None:
    run("service", name)
    ((argv, environment),) = became
    assert argv[0] == sys.executable
    assert "hidden" not in " ".join(argv)
    assert environment["BALLAST_WAREHOUSE_URL"] == "postgresql+psycopg2://u:hidden@db.example/ballast_simulated"
    assert "--host" not in argv or argv[argv.index("--host") + 1] == "0.0.0.0"


def test_exec_becomes_any_program(became: list[tuple[list[str], dict[str, str]]]) -> None:
    run("exec", "--", "dagster", "run", "list", "--limit", "5")
    ((argv, environment),) = became
    assert argv == ["dagster", "run", "list", "--limit", "5"]
    assert {"DAGSTER_HOME", "MLFLOW_TRACKING_URI", "BALLAST_DAGSTER_URL"} <= set(environment)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["service", "api"], "DATABASE_URL: is not set"),
        (["exec", "--", "true"], "DATABASE_URL: is not set"),
    ],
)
def test_without_a_server_of_its_own_nothing_is_started(
    arguments: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("BALLAST_STATE", str(tmp_path))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert cli.main(arguments) == 2
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_program_must_be_named_and_must_exist(
    became: list[tuple[list[str], dict[str, str]]], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    assert cli.main(["exec", "--"]) == 2
    assert "PROGRAM: name what to run" in capsys.readouterr().err
    monkeypatch.undo()


def test_services_that_are_apart_listen_where_they_are_looked_for() -> None:
    settings = load_settings(APART)
    hosts = {item.name: item.host for item in service_table(settings) if item.port is not None}
    assert set(hosts.values()) == {"0.0.0.0"}
    (server,) = workspace_yaml(settings)["load_from"]
    assert server["grpc_server"]["host"] == "code"
