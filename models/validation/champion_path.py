"""The forecasts the gate would have published: at every origin those of the member it would have chosen by then.

A walk-forward compares members with hindsight; this path does not. It is what may be exported as "our forecasts".
"""

from __future__ import annotations

import pandas as pd

from models.contracts.horizons import PROTOCOLS
from models.contracts.market import SeriesKind
from models.validation.evaluation import comparable, panel_losses
from models.validation.gate import choose

INCOMPLETE = 100.0  # rank penalty of a forecast without a spike probability


def champions(walk_forward: pd.DataFrame, kind: SeriesKind, other: pd.DataFrame | None = None) -> pd.Series:
    """Champion in force from each decision date on (index: as_of), decided at the pool's refit step.

    The losses of a date count once all of its outcomes, embargo included, are known; origins before the warm-up
    count as evidence. `other`: the walk-forward of the panel's other horizon, which is evidence as well.
    """
    horizon = int(walk_forward["horizon_days"].iloc[0])
    rows = comparable(walk_forward, scored_only=False)
    capped, uncapped, known_at = panel_losses(rows), panel_losses(rows, "loss_uncapped"), _known_at(rows)
    elsewhere = comparable(other if other is not None else walk_forward.iloc[:0], scored_only=False)
    theirs, known_there = panel_losses(elsewhere), _known_at(elsewhere)
    step = pd.Timedelta(days=PROTOCOLS[kind].pool_refit_step)
    dates = pd.date_range(walk_forward["as_of"].min(), walk_forward["as_of"].max(), freq=step)
    chosen = []
    for date in dates:
        there = theirs[known_there <= date]
        chosen.append(choose(capped[known_at <= date], uncapped[known_at <= date], horizon, there).champion)
    return pd.Series(chosen, dates)


def _known_at(rows: pd.DataFrame) -> pd.Series:
    """When the last outcome of each date is known (index: as_of); NaT while one is open."""
    outcomes = rows.groupby("as_of")["known_at"]
    return outcomes.max().where(outcomes.count() == outcomes.size())


def champion_path(walk_forward: pd.DataFrame, kind: SeriesKind, other: pd.DataFrame | None = None) -> pd.DataFrame:
    """Scored rows of the member in force at each origin, one per (series, origin), with its name in `model`.

    Where the member in force has no complete forecast yet, the first that has one speaks: log-HAR, HAR, EWMA, GARCH.
    """
    rows = walk_forward[walk_forward["scored"]]
    if rows.empty:
        return rows
    in_force = champions(walk_forward, kind, other)
    position = in_force.index.searchsorted(pd.DatetimeIndex(rows["as_of"]), side="right") - 1
    chosen = in_force.to_numpy()[position]
    order = {name: float(rank) for rank, name in enumerate(("log_har", "har", "ewma", "garch"), start=1)}
    rank = rows["model"].map(order).astype(float).fillna(len(order) + 1.0)
    rank = rank.where(rows["model"].to_numpy() != chosen, 0.0) + INCOMPLETE * rows["p_spike"].isna()
    ranked = rows.assign(rank=rank).sort_values(["series", "as_of", "rank"])
    return ranked.drop_duplicates(["series", "as_of"]).drop(columns="rank").reset_index(drop=True)
