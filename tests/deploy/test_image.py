"""The image and the stack of containers, read as files: no engine is needed to see that they keep what they promise."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema
from jsonschema import Draft7Validator

from orchestration.local.cli import build_parser
from orchestration.local.commands.service import NAMES, PREPARE
from orchestration.settings import load_settings
from tests.architecture.tree import ROOT

DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
OURS = {name: service for name, service in COMPOSE["services"].items() if service["image"] == "ballast"}
SECRET_NAMES = re.compile(r"PASSWORD|TOKEN|SECRET|_KEY\b|APP_ID|SEED")


def instructions() -> list[tuple[str, str]]:
    """(instruction, rest) of the Dockerfile, continued lines joined."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def copied() -> list[str]:
    """What the image takes from this folder."""
    return [
        source
        for word, rest in instructions()
        if word == "COPY" and "--from" not in rest
        for source in shlex.split(rest)[:-1]
    ]


def test_what_is_copied_is_there_and_let_through() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_through = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert "*" in lines, "everything else stays outside"
    assert set(copied()) == let_through
    assert [name for name in copied() if not (ROOT / name).exists()] == []


def test_every_package_of_the_project_is_in_the_image() -> None:
    assert {"models", "keeper", "serving", "orchestration", "dbt_project"} <= set(copied())


def test_it_runs_as_an_ordinary_user_and_holds_no_secret() -> None:
    last_stage = instructions()[max(i for i, (word, _) in enumerate(instructions()) if word == "FROM") :]
    users = [rest for word, rest in last_stage if word == "USER"]
    assert users
    assert all(int(user.split(":")[0]) > 0 for user in users)
    set_there = " ".join(rest for word, rest in instructions() if word in ("ENV", "ARG"))
    assert not SECRET_NAMES.search(set_there)


def test_bases_are_pinned_to_a_version() -> None:
    bases = [rest.split()[0] for word, rest in instructions() if word == "FROM"]
    bases += [service["image"] for service in COMPOSE["services"].values() if service["image"] != "ballast"]
    assert bases
    assert all(re.search(r":\d", base) for base in bases)


def test_compose_is_valid() -> None:
    errors = Draft7Validator(get_builtin_schema("vendor.compose-spec")).iter_errors(COMPOSE)
    assert [error.message for error in errors] == []


def test_each_process_of_the_stack_is_a_service_and_each_command_exists() -> None:
    assert {service["command"][1] for service in OURS.values()} == set(NAMES)
    for service in OURS.values():
        assert build_parser().parse_args(service["command"]).name == service["command"][1]


@pytest.mark.parametrize("name", sorted(OURS))
def test_a_service_is_confined_and_its_settings_are_settings(name: str, tmp_path: Path) -> None:
    service = OURS[name]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert "no-new-privileges:true" in service["security_opt"]
    environment = dict(service["environment"])
    assert not [variable for variable in environment if SECRET_NAMES.search(variable)]
    (tmp_path / "url").write_text("postgresql://u:p@postgres/ballast", encoding="utf-8")
    environment |= {"DATABASE_URL_FILE": str(tmp_path / "url"), "BALLAST_MARKET": "simulated"}
    assert load_settings(environment).database_url == "postgresql://u:p@postgres/ballast"


def test_what_others_wait_for_says_when_it_is_ready() -> None:
    for name, service in COMPOSE["services"].items():
        for other, wanted in service.get("depends_on", {}).items():
            healthy = wanted["condition"] == "service_healthy"
            assert healthy == ("healthcheck" in COMPOSE["services"][other]), (name, other)
            assert healthy or other == PREPARE


def test_ports_are_open_to_this_machine_alone() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert len(ports) == 3
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_secrets_come_as_files_outside_the_repository() -> None:
    assert all(set(secret) == {"file"} for secret in COMPOSE["secrets"].values())
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {Path("deploy", secret["file"]).parent.as_posix() + "/" for secret in COMPOSE["secrets"].values()} <= {
        *ignored
    }
