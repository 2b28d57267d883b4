"""Daily features of a coin and a rate, drawn by lot, for assets that read features and nothing before them."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from sqlalchemy import text

from orchestration.resources.features import PANEL_COLUMNS
from orchestration.resources.workspace import Workspace
from tests.orchestration.conftest import NOW, catalogue

DAY = timedelta(days=1)
MIDNIGHT = NOW.replace(hour=0)
BTC, NAIRA, VAULT = "BTC", "USDNGN:official", "vault:mixed"


def feature_rows(series: str, kind: str, moments: list[datetime], ret: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "series": series, "kind": kind, "as_of": moments, "is_origin": True, "rv": np.maximum(ret**2, 1e-6),
            "ret": ret, "is_held": 0.0, "share_imputed": 0.0, "unchanged_share": 0.0,
        }
    )  # fmt: skip


def make_tables(workspace: Workspace) -> None:
    columns = ", ".join(f"{name} float8" for name in PANEL_COLUMNS if name not in ("series", "as_of"))
    with workspace.warehouse.engine.begin() as connection:
        connection.execute(
            text(
                "create table features.volatility "
                f"(series text, kind text, as_of timestamptz, is_origin boolean, {columns})"
            )
        )
        catalogue(connection)


def plant_days(workspace: Workspace, days: int, rate_days: int | None = None) -> None:
    """Returns of a coin each night and of a rate each night after a weekday, up to today's midnight; their common part
    moves both the same way."""
    rng = np.random.default_rng(0)
    nights = [MIDNIGHT - n * DAY for n in reversed(range(days))]
    common = rng.standard_normal(days)
    coin = 0.03 * (0.8 * common + 0.6 * rng.standard_normal(days))
    rate = 0.01 * (0.8 * common + 0.6 * rng.standard_normal(days))
    workspace.warehouse.append_table("features.volatility", feature_rows(BTC, "candles", nights, coin))
    weekday = np.array([(night - DAY).weekday() < 5 for night in nights])
    if rate_days is not None:
        weekday[: days - rate_days] = False
    rows = feature_rows(NAIRA, "ranges", nights, rate)[weekday]
    workspace.warehouse.append_table("features.volatility", rows)
