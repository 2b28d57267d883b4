"""Tails of recorded coins keep their word day by day, forecast by log-HAR alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.contracts.market import SeriesKind
from models.risk.var import tail_path
from models.validation.coverage import christoffersen, kupiec
from models.validation.shortfall import z_statistics
from models.volatility.panel import utc
from models.volatility.walk_forward import walk_forward
from tests.models.regimes.test_on_real_data import COINS, panel_of

pytestmark = pytest.mark.realdata

MAX_MEAN_Z2 = 0.20


@pytest.fixture(scope="module")
def judged(real_data: Path) -> pd.DataFrame:
    """A row a coin: p-values of VaR99 and Z2 of ES99 over all scored days."""
    panel = panel_of(real_data, COINS)
    told = walk_forward(panel, SeriesKind.CANDLES, 1, ["log_har"])
    found = {}
    for coin, rows in told.groupby("series"):
        grid = panel.grids[str(coin)]
        path = rows.set_index(utc(rows["as_of"])).reindex(grid.as_of)
        var, es, _ = tail_path(grid.ret, path["rv_forecast"].to_numpy(dtype=float))
        ahead = np.append(grid.ret[1:], np.nan)
        counts = path["scored"].eq(True).to_numpy() & np.isfinite(ahead) & np.isfinite(var)
        hits = ahead[counts] < -var[counts]
        z2 = float(z_statistics(ahead[counts], var[counts], es[counts], 0.01)[1])
        found[coin] = {"kupiec": kupiec(hits, 0.01), "christoffersen": christoffersen(hits), "z2": z2}
    return pd.DataFrame(found).T


def test_losses_come_as_often_as_promised(judged: pd.DataFrame) -> None:
    assert len(judged) == len(COINS)
    assert (judged["kupiec"] > 0.01).all()
    assert (judged["kupiec"] > 0.05).mean() >= 0.85
    assert (judged["christoffersen"] > 0.05).mean() >= 0.85


def test_they_are_as_large_as_promised(judged: pd.DataFrame) -> None:
    assert abs(judged["z2"].mean()) <= MAX_MEAN_Z2
