"""`ballast drift curve`: a table and a picture of one coin, or one line that says why not."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from orchestration.drift import curve
from orchestration.drift.curve import curve_of
from orchestration.local import cli
from orchestration.local.database import workspace_databases
from orchestration.settings import current_settings
from tests.orchestration.drift.test_curve import PLANTS, streams
from tests.orchestration.local.test_cli import on_test_server  # noqa: F401 - a fixture


@pytest.fixture
def market(on_test_server: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    engine = create_engine(workspace_databases(current_settings()).ballast, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("create table features.bar_returns (series text)"))
        connection.execute(
            text(
                "insert into ops.market (name, data_mode, seed, clock_anchor) "
                "values ('simulated', 'simulated', 7, '2026-01-01')"
            )
        )
    found = streams(500)
    monkeypatch.setattr(curve, "market_streams", lambda workspace, now: found)


def asked(series: str, out: Path) -> list[str]:
    return ["drift", "curve", "--series", series, "--out", str(out), "--plants", str(PLANTS)]


def test_a_curve_is_written_as_table_and_picture(
    market: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "curves"
    assert cli.main(asked("AAA", out)) == 0
    written = pd.read_csv(out / "AAA.csv")
    pd.testing.assert_frame_equal(written, curve_of(streams(500), "AAA", current_settings().seed, PLANTS))
    assert (out / "AAA.png").read_bytes().startswith(b"\x89PNG")
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines if len(line) == 7 and line[2] == "1.5"] == [
        f"{rate:.2f}" for rate in written.loc[written["factor"] == 1.5, "per_quarter"]
    ]


def test_an_unknown_coin_is_one_line(market: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(asked("XYZ", tmp_path)) == cli.EXPECTED_FAILURE
    assert "--series: XYZ has no hourly bars here; choose from AAA, BBB, CCC" in capsys.readouterr().err
