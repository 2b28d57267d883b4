"""The access log and the log of the process: which requests are told, with which fields, under which id."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from models.contracts.log_lines import ACCESS_LOGGER, AccessLog, LogChoice, LogFormat
from serving import observing
from serving.app import create_app
from serving.logs import configure
from serving.settings import ServingSettings

PASSWORD = "hunter2222"
URL = f"postgresql+psycopg2://nobody:{PASSWORD}@127.0.0.1:1/none"


def asked(access: AccessLog, caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Fields of the access log after one answered request, one refused and one failed."""
    caplog.set_level(logging.INFO, ACCESS_LOGGER)
    with TestClient(create_app(ServingSettings(URL, log=LogChoice(access=access)))) as client:
        client.get("/live?key=secret")
        client.get("/nothing/here")
        client.get("/health")
    return [record.__dict__["fields"] for record in caplog.records if record.name == ACCESS_LOGGER]


@pytest.mark.parametrize(
    ("access", "slow_s", "statuses"),
    [
        (AccessLog.ALL, math.inf, [200, 404, 503]),
        (AccessLog.ODD, math.inf, [404, 503]),
        (AccessLog.ODD, 0.0, [200, 404, 503]),
        (AccessLog.NONE, 0.0, []),
    ],
)
def test_which_requests_are_told(
    access: AccessLog,
    slow_s: float,
    statuses: list[int],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(observing, "_SLOW_S", slow_s)
    assert [fields["status"] for fields in asked(access, caplog)] == statuses


def test_what_is_told_of_a_request(caplog: pytest.LogCaptureFixture) -> None:
    live, unknown, _ = asked(AccessLog.ALL, caplog)
    assert live["duration_s"] > 0
    del live["duration_s"]
    assert live == {
        "method": "GET", "route": "/live", "path": "/live", "status": 200, "bytes": 15, "client": "testclient",
    }  # fmt: skip
    assert (unknown["route"], unknown["path"]) == ("unmatched", "/nothing/here")


@pytest.fixture
def restored() -> Iterator[None]:
    names = ("", "uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")
    before = {n: (logging.getLogger(n).handlers[:], logging.getLogger(n).level) for n in names}
    yield
    for name, (handlers, level) in before.items():
        logging.getLogger(name).handlers[:] = handlers
        logging.getLogger(name).setLevel(level)


@pytest.mark.usefixtures("restored")
def test_every_line_of_a_request_has_its_id_and_no_password(capsys: pytest.CaptureFixture[str]) -> None:
    settings = ServingSettings(URL, log=LogChoice(LogFormat.JSON, "info", AccessLog.ALL))
    logging.getLogger("uvicorn.error").setLevel(logging.NOTSET)  # servers of other tests made it silent
    configure(settings)
    with TestClient(create_app(settings)) as client:
        client.get("/health", headers={"X-Request-Id": "abc"})
        client.get("/live")
    logging.getLogger("uvicorn.error").warning("said by the server of %s", PASSWORD)
    written = capsys.readouterr().err
    lines = [json.loads(line) for line in written.splitlines()]
    ours = {line["logger"] for line in lines if line.get("request_id") == "abc"}
    assert ours == {"serving.errors", "ballast.access"}
    assert lines[-1]["message"] == "said by the server of ***"
    assert {line["service"] for line in lines} == {"api"}
    assert PASSWORD not in written
