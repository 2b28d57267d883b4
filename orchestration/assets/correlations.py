"""`risk.correlation`: correlations of daily returns of the market and inside each vault, once for each day that closes.

Part of the hourly refresh: a tick on which no day has closed reads two small queries and stops there.
"""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd

from models.contracts.market import SeriesKind, SeriesSpec
from models.contracts.tables import RISK_CORRELATION
from models.contracts.vault import VaultConfig
from models.regimes.shared import shared_regime
from models.risk.correlation_day import HISTORY_DAYS, CorrelationMethod, Said, correlations_of_day
from models.risk.plots import heat_map
from models.risk.validity import Validity
from models.stress.streams import stream
from orchestration import keys
from orchestration.assets.quality import markdown
from orchestration.panels import last_origins
from orchestration.resources.correlation import MARKET, Scope, as_row, daily_returns, newest_days
from orchestration.resources.regimes import labels
from orchestration.resources.workspace import Workspace

_PICTURE_DPI = 60  # some ten kilobytes: the picture lives in the event log
_SHOWN = 60


@dg.asset(
    key=keys.CORRELATION,
    deps=[keys.VOLATILITY_FEATURES, keys.REGIMES],
    group_name=keys.SCORING,
    kinds={"postgres", "python"},
)
def correlation(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult[Any]:
    """Correlation matrices of the newest closed day: of all scored series, and of the legs of each vault.

    Grain: one row a scope, method (ewma, ledoit_wolf), regime (all, calm, normal, stressed) and day.
    """
    said = list(correlate_all(workspace))
    rows = [as_row(scope, each, workspace.now()) for scope, each in said]
    run = {"data_mode": workspace.mode.value, "run_id": context.run.run_id}
    added = workspace.warehouse.append_table(RISK_CORRELATION, [row | run for row in rows])
    pictures = {
        f"now_{scope.name}": _picture(scope, each)
        for scope, each in said
        if each.method is CorrelationMethod.EWMA and each.has_number
    }
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": added,
            "newest": dg.MetadataValue.md(markdown(_table(rows[:_SHOWN]))),
            **pictures,
        }
    )


def correlate_all(workspace: Workspace) -> Iterator[tuple[Scope, Said]]:
    """Matrices of each scope whose newest day has none."""
    for scope in due(workspace):
        ret = daily_returns(workspace.warehouse, scope.columns, HISTORY_DAYS, scope.as_of)
        known = labels(workspace.warehouse, scope.labelled)
        known = known.assign(day=pd.to_datetime(known["as_of"], utc=True).dt.ceil("D"))
        shared = known.groupby("day")["label"].agg(shared_regime).reindex(ret.index)
        regimes = [None if pd.isna(label) else str(label) for label in shared]
        rng = partial(_stream, workspace.settings.seed, scope)
        for said in correlations_of_day(ret.to_numpy() * scope.signs, scope.names, scope.groups, regimes, rng):
            yield scope, said


def due(workspace: Workspace) -> list[Scope]:
    """Scopes of at least two series with a closed day that has no correlations yet."""
    specs = [spec for spec in workspace.series() if spec.scored]
    closed = last_origins(workspace.warehouse, specs, workspace.now())
    market = [(spec.id, spec.id, 1.0) for spec in specs]
    scopes = [_scope(MARKET, market, specs, closed)]
    scopes += [_scope(f"vault:{vault.id}", _legs(vault), specs, closed) for vault in workspace.vaults()]
    done = newest_days(workspace.warehouse) if closed else {}
    return [s for s in scopes if s is not None and (s.name not in done or done[s.name] < s.as_of)]


def _legs(vault: VaultConfig) -> list[tuple[str, str, float]]:
    """Series, symbol and sign of the risky legs."""
    return [
        (asset.series, asset.symbol, -1.0 if asset.invert else 1.0)
        for asset in vault.assets
        if asset.series is not None and not asset.stable
    ]


def _scope(
    name: str, legs: Sequence[tuple[str, str, float]], specs: Sequence[SeriesSpec], closed: Mapping[str, datetime]
) -> Scope | None:
    """None with fewer than two legs that have a closed day."""
    there = [leg for leg in legs if leg[0] in closed]
    if len(there) < 2:
        return None
    columns, names, signs = zip(*there, strict=True)
    as_of = max(closed[series] for series in columns)
    kinds = {spec.id: spec.kind for spec in specs}
    groups = tuple("coins" if kinds[series] is SeriesKind.CANDLES else "rates" for series in columns)
    ages = [(spec.kind, timedelta(seconds=spec.max_age_s)) for spec in specs if spec.id in columns]
    labelled = columns if name == MARKET else (name,)
    return Scope(name, columns, names, signs, groups, labelled, as_of, Validity.of_daily(ages).until(as_of))


def _stream(seed: int, scope: Scope, part: str) -> np.random.Generator:
    return stream(seed, f"correlation/{scope.name}/{scope.as_of:%Y-%m-%d}/{part}", 0)


def _picture(scope: Scope, said: Said) -> dg.MarkdownMetadataValue:
    buffer = io.BytesIO()
    heat_map(said.found, f"{scope.name}, {said.method}, {said.regime}").savefig(buffer, format="png", dpi=_PICTURE_DPI)
    return dg.MetadataValue.md(f"![correlations](data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()})")


def _table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "scope": row["scope"], "method": row["method"], "regime": row["regime"], "days": row["days"],
                "status": row["status"], "shrinkage": _two(row["shrinkage"]),
                "one factor": _two(row["first_eigenvalue_share"]), "change in 30 days": _two(row["change_30d_mean"]),
                "why": "; ".join(row["reasons"]),
            }
            for row in rows
        ]
    )  # fmt: skip


def _two(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
