"""Doctor: each broken set-up has its line and its way out; a healthy one has no complaint; secrets stay hidden."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from orchestration.local import doctor
from orchestration.local.locks import hold
from orchestration.local.processes import STACK_MARKER
from orchestration.resources.database_url import with_database
from orchestration.settings import current_settings

Put = Callable[..., None]


def findings(what: str) -> list[doctor.Finding]:
    return [finding for finding in doctor.examine(current_settings()) if finding.what.startswith(what)]


def test_healthy_machine_has_nothing_to_mend(environment: Put, tmp_path: Path) -> None:
    found = doctor.examine(current_settings())
    assert {finding.what for finding in found if finding.verdict == "fail"} == set()
    assert {"Python", "packages", "state folder", "universe", "database", "leftovers"} <= {f.what for f in found}
    assert not (tmp_path / "state").exists()  # looking changes nothing


def test_every_role_that_the_migrations_make_is_looked_for(engine: Engine) -> None:
    with engine.connect() as connection:
        made = connection.execute(text(r"select rolname from pg_roles where rolname like 'ballast\_%'")).scalars()
        assert set(made) == set(doctor.ROLES)


def test_missing_key_warns_only_on_the_live_market(environment: Put) -> None:
    assert findings("provider keys")[0].verdict == "ok"
    environment(BALLAST_MARKET="live", FIXER_API_KEY="do-not-show")
    finding = findings("provider keys")[0]
    assert finding.verdict == "warn"
    assert "present: FIXER_API_KEY; absent: OPENEXCHANGERATES_APP_ID" in finding.found
    assert "do-not-show" not in str(finding)


def test_taken_port(environment: Put) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen(1)
        port = holder.getsockname()[1]
        environment(BALLAST_MLFLOW_PORT=str(port))
        finding = findings(f"port {port}")[0]
    assert finding.verdict == "fail"
    assert "BALLAST_MLFLOW_PORT" in finding.way_out


def test_leftovers_of_a_killed_stack_are_not_told_as_strangers(environment: Put) -> None:
    mark = {**os.environ, STACK_MARKER: str(current_settings().workspace)}
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env=mark) as orphan:
        assert findings("leftovers") == [
            doctor.Finding(
                "fail", "leftovers", f"processes of a killed stack hold the ports: {orphan.pid}", "make down"
            )
        ]
        assert findings("port") == []
        with hold(current_settings().workspace / "run.lock", "held"):
            assert findings("leftovers")[0].verdict == "ok"
        orphan.kill()


def test_state_folder_below_a_file(environment: Put, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    environment(BALLAST_STATE=str(tmp_path / "file" / "state"))
    assert findings("state folder")[0].verdict == "fail"


def test_broken_universe_names_the_way_out(environment: Put, tmp_path: Path) -> None:
    (tmp_path / "u.yaml").write_text("version: 1\n")
    environment(BALLAST_UNIVERSE=str(tmp_path / "u.yaml"))
    assert (findings("universe")[0].verdict, findings("universe")[0].way_out) == (
        "fail", "correct the file or unset BALLAST_UNIVERSE",
    )  # fmt: skip


def test_server_that_does_not_answer(environment: Put) -> None:
    environment(DATABASE_URL="postgresql://someone:hidden@127.0.0.1:1/x")
    finding = findings("database")[0]
    assert finding.verdict == "fail"
    assert "hidden" not in str(finding)


def test_server_without_a_database_of_this_market(environment: Put, server_url: str) -> None:
    environment(DATABASE_URL=with_database(server_url, "nobody_has_made_this"))
    assert "no database yet" in findings("database")[0].found


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("numpy==2.4.6 ; python_full_version >= '3.11'", "numpy"),
        ("pywin32==311 ; sys_platform == 'win32'", None),
        ("rich==15.0.0", "rich"),
        ("torch==2.13.0  # the CPU build", "torch"),
    ],
)
def test_pins_for_other_systems_do_not_count(line: str, name: str | None) -> None:
    pin = doctor._pin(line)
    assert (pin.name if pin else None) == name
