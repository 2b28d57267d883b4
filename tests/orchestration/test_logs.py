"""Lines of jobs: a failure of a run and a line of ours in it name run, job and step, in the schema of all lines."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from models.contracts.log_lines import LOGGERS
from orchestration.local.dagster_home import dagster_yaml
from orchestration.logs import configure, run_logger
from orchestration.sensors import log_end
from orchestration.settings import Settings, SettingsError, load_settings

PLANTED = "plantedtoken0123456789"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(
        {
            "BALLAST_STATE": str(tmp_path),
            "BALLAST_LOG_FORMAT": "json",
            "FIXER_API_KEY": PLANTED,
        }
    )


def lines_of(
    job: dg.JobDefinition, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> tuple[str, list[dict[str, Any]]]:
    """The id of a run with the python_logs of our instances, and the lines it wrote."""
    managed = {"python_logs": dagster_yaml(settings)["python_logs"]}
    with dg.instance_for_test(overrides=managed) as instance:
        done = job.execute_in_process(instance=instance, raise_on_error=False)
    return done.run_id, [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]


@pytest.fixture
def restored() -> Iterator[None]:
    logger = logging.getLogger(LOGGERS)
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.level, logger.propagate = before


@pytest.mark.usefixtures("restored")
def test_what_a_run_writes(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    configure(settings)

    @dg.op
    def works() -> None:
        logging.getLogger("ballast.somewhere").warning("seen with %s", PLANTED, extra={"fields": {"rows": 3}})

    @dg.op
    def breaks() -> None:
        raise ValueError(f"no {PLANTED}")

    @dg.job(
        logger_defs={"console": run_logger(settings)},
        config={"loggers": {"console": {"config": {}}}},
        executor_def=dg.in_process_executor,
    )
    def training() -> None:
        works()
        breaks()

    run_id, lines = lines_of(training, settings, capsys)
    assert {line["run_id"] for line in lines} == {run_id}
    assert {(line["service"], line["job"]) for line in lines} == {("jobs", "training")}
    by_step = {line.get("step"): line for line in lines if line["level"] in ("warning", "error")}
    assert by_step["works"]["message"].endswith("seen with ***")
    assert sum("seen with" in line["message"] for line in lines) == 1
    assert by_step["breaks"]["level"] == "error"
    assert PLANTED not in json.dumps(lines)


@pytest.mark.usefixtures("restored")
def test_outside_of_runs_a_line_is_written_too(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    configure(settings)
    logging.getLogger("ballast.alerts").error("job x failed with %s", PLANTED)
    (line,) = [json.loads(text) for text in capsys.readouterr().err.splitlines()]
    assert (line["message"], line["service"]) == ("job x failed with ***", "jobs")


@pytest.mark.parametrize(
    ("status", "level", "reason"),
    [(dg.DagsterRunStatus.SUCCESS, "INFO", None), (dg.DagsterRunStatus.FAILURE, "ERROR", "why")],
)
def test_the_end_of_a_run_is_a_line(
    caplog: pytest.LogCaptureFixture, status: dg.DagsterRunStatus, level: str, reason: str | None
) -> None:
    caplog.set_level(logging.INFO, "ballast.jobs")
    log_end(dg.DagsterRun(job_name="training", run_id="r1", status=status), reason)
    (record,) = caplog.records
    fields = record.__dict__["fields"]
    assert (record.levelname, fields["run_id"], fields["job"], fields.get("reason")) == (
        level, "r1", "training", reason,
    )  # fmt: skip


def test_a_wrong_setting_is_told() -> None:
    with pytest.raises(SettingsError, match="BALLAST_LOG_FORMAT: 'xml' is not text, json"):
        load_settings({"BALLAST_LOG_FORMAT": "xml"})
