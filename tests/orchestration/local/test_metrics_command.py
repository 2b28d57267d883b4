"""`ballast metrics`: what Prometheus reads, on the screen or where the setting says."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from orchestration.local import cli
from orchestration.local.database import workspace_databases
from orchestration.settings import current_settings
from tests.orchestration.local.test_cli import on_test_server  # noqa: F401 - a fixture


@pytest.fixture
def market(on_test_server: None) -> None:  # noqa: F811
    engine = create_engine(workspace_databases(current_settings()).ballast, poolclass=NullPool)
    with engine.begin() as connection:
        row = "insert into ops.market (name, data_mode, clock_anchor) values ('simulated', 'simulated', :at)"
        connection.execute(text(row), {"at": datetime(2026, 1, 1, tzinfo=UTC)})


@pytest.mark.usefixtures("market")
def test_they_are_shown_and_published(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli.main(["metrics", "show"]) == 0
    shown = capsys.readouterr().out
    assert "# TYPE ballast_job_runs_total counter\n" in shown
    assert 'ballast_job_allowed_age_seconds{job_name="training"} 1.296e+06\n' in shown
    assert cli.main(["metrics", "publish"]) == 2
    assert "BALLAST_METRICS is not set" in capsys.readouterr().err
    path = tmp_path / "ballast.prom"
    monkeypatch.setenv("BALLAST_METRICS", f"textfile:{path}")
    assert cli.main(["metrics", "publish"]) == 0
    assert "ballast_metrics_timestamp_seconds" in path.read_text()
