"""What is scored, at which moment, and until when it counts: with features that run ahead of the clock."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import text

from models.contracts.score import Score
from orchestration.issuing import APPROXIMATE, caveats, panels, score_all
from orchestration.resources.features import PANEL_COLUMNS
from orchestration.resources.model_registry import ModelRegistry
from orchestration.resources.workspace import Workspace
from tests.orchestration.conftest import NOW, catalogue

MIDNIGHT = NOW.replace(hour=0)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def _tables(workspace: Workspace) -> None:
    columns = ", ".join(f"{name} float8" for name in PANEL_COLUMNS if name not in ("series", "as_of"))
    with workspace.warehouse.engine.begin() as connection:
        connection.execute(
            text(
                "create table features.volatility "
                f"(series text, kind text, as_of timestamptz, is_origin boolean, {columns})"
            )
        )
        catalogue(connection)


def _features(workspace: Workspace, series: str, kind: str, moments: list[datetime]) -> None:
    with workspace.warehouse.engine.begin() as connection:
        connection.execute(
            text(
                "insert into features.volatility (series, kind, as_of, is_origin, rv, ret, is_held, share_imputed) "
                "select :series, :kind, at, extract(hour from at at time zone 'UTC') = 0, 1e-4, 0.01, 0, 0 "
                "from unnest(cast(:moments as timestamptz[])) as at"
            ),
            {"series": series, "kind": kind, "moments": moments},
        )


def _scored(workspace: Workspace, folder: Path) -> dict[str, Score]:
    unused = ModelRegistry(tracking_uri="unused", artifact_root=str(folder))
    asked = list(panels(workspace, {}, unused, logging.getLogger(__name__)))
    issued = score_all(workspace.mode, workspace.now(), asked)
    return {score.subject: score for score in issued if score.horizon_days == 1}


@pytest.mark.parametrize("coin_is_late_h", [0, 13])
def test_no_score_is_of_a_moment_that_has_not_come(workspace: Workspace, tmp_path: Path, coin_is_late_h: int) -> None:
    """Today's rate is known before its day has closed, and yesterday's may overtake a coin that is late."""
    newest_coin = NOW - coin_is_late_h * HOUR
    _tables(workspace)
    _features(workspace, "BTC", "candles", [newest_coin - n * HOUR for n in range(24 * 10)])
    _features(workspace, "USDNGN:official", "ranges", [MIDNIGHT + DAY - n * DAY for n in range(10)])
    found = _scored(workspace, tmp_path)
    assert {subject: score.as_of for subject, score in found.items()} == {
        "BTC": newest_coin,
        "USDNGN:official": MIDNIGHT,
        "vault:mixed": newest_coin,
    }
    assert found["vault:mixed"].valid_until == newest_coin + 2 * HOUR
    assert found["BTC"].share_stale == (1.0 if coin_is_late_h else 0.0)


def test_a_caveat_is_said_of_a_vault_only() -> None:
    rows = pd.DataFrame({"series": ["vault:a"], "approximate": [True]})
    assert caveats(rows, "vault:a") == (APPROXIMATE,)
    assert caveats(rows.drop(columns="approximate"), "vault:a") == ()
