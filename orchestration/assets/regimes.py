"""`risk.regimes`: volatility regime and trend of each scored series and vault at each of its daily origins.

Part of the hourly refresh: a label is wanted as soon as its day has closed. A tick on which no day has closed reads
two small queries and stops there; one on which days have closed runs the stored parameters over their history, and
fits new ones where a month has passed. Rows are append-only; an origin that the parameters in force have labelled is
not labelled again.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd

from models.contracts.horizons import PROTOCOLS
from models.contracts.market import SeriesKind
from models.regimes.labels import FittedChain, chains_until_now, observed, regimes_of
from models.volatility.panel import Grid, Panel, build_panel
from orchestration import keys
from orchestration.assets.quality import markdown
from orchestration.panels import PANELS, last_origins, training_rows
from orchestration.resources.regimes import known_chains, newest_labelled, store_chains, store_regimes
from orchestration.resources.workspace import Workspace

_SHOWN = 60


@dg.asset(
    key=keys.REGIMES,
    deps=[keys.VOLATILITY_FEATURES],
    group_name=keys.SCORING,
    kinds={"postgres", "python"},
)
def regimes(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult[Any]:
    """Regime (calm, normal, stressed), trend and changepoint of each series at each daily origin, filtered.

    Grain: one row a series, origin, method (hmm, rule) and version of the parameters.
    """
    done = label_all(workspace, context.run.run_id)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": done.rows,
            "fits": done.fits,
            "series": int(done.newest["series"].nunique()),
            "newest": dg.MetadataValue.md(markdown(_table(done.newest.head(_SHOWN)))),
        }
    )


@dataclass(frozen=True)
class Done:
    """Rows and fits that were added; `newest`: the last row of each series and method that was looked at."""

    rows: int
    fits: int
    newest: pd.DataFrame


def label_all(workspace: Workspace, run_id: str) -> Done:
    """Label every origin that has closed and has no label yet; a second call adds nothing."""
    now, rows_added, fits, newest = workspace.now(), 0, 0, list[pd.DataFrame]()
    for kind in due(workspace, now):
        rows = _closed(_rows(workspace, kind), now)
        if rows.empty:
            continue
        fresh, fitted = label_panel(workspace, build_panel(rows, kind))
        # Parameters first: a label never names a version that is not there.
        fits += store_chains(workspace.warehouse, fitted, workspace.mode, run_id)
        rows_added += store_regimes(workspace.warehouse, fresh, workspace.mode, run_id)
        newest.append(fresh.groupby(["series", "method"], sort=True).tail(1))
    return Done(rows_added, fits, pd.concat(newest) if newest else pd.DataFrame(columns=["series"]))


def due(workspace: Workspace, now: datetime) -> list[SeriesKind]:
    """Kinds with an origin that has closed and is not labelled. Vaults follow their legs."""
    specs = [spec for spec in workspace.series() if spec.scored]
    closed = last_origins(workspace.warehouse, specs, now)
    labelled = newest_labelled(workspace.warehouse, list(closed))
    kinds = {spec.kind for spec in specs if spec.id in closed and labelled.get(spec.id) != closed[spec.id]}
    if kinds and workspace.vaults():
        kinds.add(SeriesKind.VAULT)
    return [kind for kind in PANELS if kind in kinds]


def label_panel(workspace: Workspace, panel: Panel) -> tuple[pd.DataFrame, dict[str, list[FittedChain]]]:
    """Rows of a panel that are not stored yet, and the fits that they brought about, by series."""
    known = known_chains(workspace.warehouse, list(panel.grids))
    labelled = newest_labelled(workspace.warehouse, list(panel.grids))
    tasks, missing = [], 0
    for series, grid in panel.grids.items():
        since = np.datetime64(labelled[series].replace(tzinfo=None), "us") if series in labelled else None
        missing += len(grid) - (0 if since is None else grid.rows_until(since))
        tasks.append(partial(_label, grid, panel.kind, known.get(series, []), since))
    found = workspace.runner(missing)(tasks)
    fitted = {series: chains for series, (_, chains) in zip(panel.grids, found, strict=True)}
    return pd.concat([rows for rows, _ in found], ignore_index=True), fitted


def _label(
    grid: Grid, kind: SeriesKind, known: list[FittedChain], since: np.datetime64 | None
) -> tuple[pd.DataFrame, list[FittedChain]]:
    """Rows of one series after `since`, and the fits that are not among the `known` ones."""
    protocol = PROTOCOLS[kind]
    chains = chains_until_now(observed(grid, kind), grid.as_of, protocol, known)
    return regimes_of(grid, kind, protocol, chains, since), chains[len(known) :]


def _rows(workspace: Workspace, kind: SeriesKind) -> pd.DataFrame:
    scored = [spec for spec in workspace.series() if spec.scored]
    return training_rows(workspace.warehouse, kind, scored, workspace.vaults())


def _closed(rows: pd.DataFrame, now: datetime) -> pd.DataFrame:
    """Without days that have not closed: a live rate of today is known before."""
    return rows[rows["as_of"] <= now] if len(rows) else rows


def _table(newest: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "series": row["series"], "method": row["method"], "as_of": f"{row['as_of']:%Y-%m-%d %H:%M}",
                "regime": row["label"] or "", "trend": row["trend"] or "", "status": row["status"],
                "why": "; ".join(row["reasons"]), "version": row["model_version"],
            }
            for row in newest.to_dict("records")
        ]
    )  # fmt: skip
