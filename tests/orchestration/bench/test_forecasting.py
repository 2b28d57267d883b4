"""Copies of a fitted bundle: each says of its own rows what the original says of its."""

import numpy as np
import pandas as pd
import pytest

from models.contracts.market import SeriesKind
from models.volatility.bundle_fit import fit_bundle
from models.volatility.walk_forward import walk_forward
from orchestration.bench.forecasting import copied
from tests.models.validation.conftest import simulated


def test_a_copy_answers_like_its_original() -> None:
    kind = SeriesKind.CANDLES
    rows = simulated(kind, days=940, series=2).assign(share_imputed=0.0)
    frame = walk_forward(rows, kind, 1, ["ewma", "log_har", "garch", "combination"])
    bundle = fit_bundle(rows, kind, 1, "combination", frame)
    grown, copies = copied(bundle, rows, 5)
    said, again = (b.predict(r).set_index("series") for b, r in ((bundle, rows), (grown, copies)))
    assert list(again.index) == ["AAA#0", "AAA#2", "AAA#4", "BBB#1", "BBB#3"]
    assert set(again["status"]) == {"ok"}
    for copy in again.index:
        for figure in ("rv_forecast", "p_spike", "var99"):
            assert again.loc[copy, figure] == pytest.approx(said.loc[copy[:3], figure], rel=1e-12)
    assert not np.isclose(said["rv_forecast"].iloc[0], said["rv_forecast"].iloc[1])
    assert isinstance(copies, pd.DataFrame)
