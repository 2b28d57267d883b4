"""A market of two coins and evaluations whose verdict is known, for the life of a champion."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from sqlalchemy import text

from models.contracts.market import SeriesKind
from models.contracts.tables import ML_EVALUATIONS
from models.validation.decay import WINDOW
from models.validation.gate import GateDecision, decide
from models.volatility.walk_forward import walk_forward
from orchestration.assets.evaluation import Work, forecasts_path
from orchestration.resources.features import PANEL_COLUMNS
from orchestration.resources.workspace import Workspace

DAYS = 1020  # warm-up 730 and more than the 250 dates that the gate wants
CHALLENGER = "log_har_x"
NAME = "volatility_candles_1d"
PROJECT = Path(__file__).parents[2]


def coins(until: datetime, days: int = DAYS) -> pd.DataFrame:
    """Daily rows of BTC and ETH with clustered volatility, the last at `until`; earlier ones do not depend on it."""
    rng = np.random.default_rng(5)
    parts = []
    for series in ("BTC", "ETH"):
        noise, draws = rng.standard_normal(2 * DAYS), rng.standard_normal(2 * DAYS)
        log_rv = np.zeros(2 * DAYS)
        for t in range(1, 2 * DAYS):
            log_rv[t] = 0.9 * log_rv[t - 1] + 0.3 * noise[t]
        rv = (1e-3 * np.exp(log_rv))[:days]
        as_of = pd.date_range(end=until, periods=days, freq="D").as_unit("us")
        ret = np.sqrt(rv) * draws[:days]
        parts.append(pd.DataFrame({"series": series, "as_of": as_of, "rv": rv, "ret": ret, "is_held": 0.0}))
    return pd.concat(parts, ignore_index=True).assign(share_imputed=0.0)


def set_up(workspace: Workspace, rows: pd.DataFrame) -> None:
    """Catalogue and features of the two coins."""
    columns = ", ".join(f"{name} float8" for name in PANEL_COLUMNS if name not in ("series", "as_of"))
    with workspace.warehouse.engine.begin() as connection:
        connection.execute(
            text(
                "create table if not exists features.volatility "
                f"(series text, kind text, as_of timestamptz, is_origin boolean, {columns})"
            )
        )
        connection.execute(
            text(
                "insert into ops.series (id, dataset, interval, kind, calendar, publication_lag_s, max_age_s, base, "
                "quote, source, scored, data_mode) select id, 'candles', '1h', 'candles', 'always', 3600, 7200, id, "
                "'USDT', 's', true, 'simulated' from unnest(array['BTC', 'ETH']) as id"
            )
        )
    add_features(workspace, rows)


def add_features(workspace: Workspace, rows: pd.DataFrame) -> None:
    workspace.warehouse.append_table("features.volatility", rows.assign(kind="candles", is_origin=True), conflict=None)


def evaluated(
    workspace: Workspace,
    rows: pd.DataFrame,
    data: str,
    challenger_error: float | None,
    kind: SeriesKind = SeriesKind.CANDLES,
    lately: float | None = None,
) -> tuple[Work, pd.DataFrame, GateDecision]:
    """A stored evaluation of EWMA and, unless None, a challenger whose log forecast misses the outcome by a normal
    error of that size: 0.2 is far better than EWMA, 2.0 far worse. `lately`: the same for the newest 28 known dates
    alone; 0 says there what EWMA says."""
    work = Work(kind, 1, rows, data, "code")
    forecasts = walk_forward(rows, kind, 1, ("ewma",))
    if challenger_error is not None:
        rng = np.random.default_rng(1)
        known = forecasts["realised"].fillna(forecasts["rv_forecast"])
        draws = rng.standard_normal(len(forecasts))
        missed = known * np.exp(challenger_error * draws)
        if lately is not None:
            dates = forecasts.loc[forecasts["realised"].notna(), "as_of"].drop_duplicates().nlargest(WINDOW)
            newest = known * np.exp(lately * draws) if lately else forecasts["rv_forecast"]
            missed = missed.where(~forecasts["as_of"].isin(dates), newest)
        forecasts = pd.concat([forecasts, forecasts.assign(model=CHALLENGER, rv_forecast=missed)], ignore_index=True)
    path = forecasts_path(workspace, work.id)
    path.parent.mkdir(parents=True, exist_ok=True)
    forecasts.to_parquet(path, index=False)
    figures = {
        "evaluation_id": work.id, "panel": kind.value, "horizon_days": 1, "series": "*", "rows": len(forecasts),
        "data_hash": data, "code_hash": "code", "data_mode": "simulated", "qlike": 0.4,
    }  # fmt: skip
    workspace.warehouse.append_table(ML_EVALUATIONS, [{**figures, "model": m} for m in forecasts["model"].unique()])
    return work, forecasts, decide(forecasts)


def served(workspace: Workspace) -> list[dict[str, object]]:
    """What the view behind `/v1/risk/current` says: the project's own SQL with its sources filled in."""
    sql = (PROJECT / "dbt_project/models/serving/risk_current.sql").read_text(encoding="utf-8")
    for source in ("('risk', 'scores')", "('ml', 'promotions')"):
        schema, table = (part.strip(" '()") for part in source.split(","))
        sql = sql.replace(f"{{{{ source{source} }}}}", f"{schema}.{table}")
    return workspace.warehouse.rows(sql)


def at(days: int) -> datetime:
    """Midnight `days` after the day on which the planted market begins to be scored."""
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=days)
