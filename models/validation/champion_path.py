"""The forecasts the gate would have published: at every origin those of the member it would have chosen by then.

A walk-forward compares members with hindsight; this path does not. It is what may be exported as "our forecasts". It is
the gate's word alone: it asks at each refit of the pool (56 days), `models.validation.succession` at each training.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from models.contracts.horizons import PROTOCOLS
from models.contracts.market import SeriesKind
from models.validation.evaluation import comparable, panel_losses
from models.validation.gate import MIN_DATES, choose

INCOMPLETE = 100.0  # rank penalty of a forecast without a spike probability


def champions(walk_forward: pd.DataFrame, kind: SeriesKind, other: pd.DataFrame | None = None) -> pd.Series:
    """Champion in force from each decision date on (index: as_of), decided at the pool's refit step.

    The losses of a date count once all of its outcomes, embargo included, are known; origins before the warm-up
    count as evidence. `other`: the walk-forward of the panel's other horizon, which is evidence as well.
    """
    horizon = int(walk_forward["horizon_days"].iloc[0])
    step = pd.Timedelta(days=PROTOCOLS[kind].pool_refit_step)
    dates = pd.date_range(walk_forward["as_of"].min(), walk_forward["as_of"].max(), freq=step)
    here, there = (_known_by(rows, dates) for rows in (walk_forward, other if other is not None else walk_forward[:0]))
    chosen = [
        choose(capped, uncapped, horizon, theirs).champion
        for (capped, uncapped), (theirs, _) in zip(here, there, strict=True)
    ]
    return pd.Series(chosen, dates)


def _known_by(walk_forward: pd.DataFrame, dates: pd.DatetimeIndex) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """At each date, the panel's losses (capped, not capped) whose outcomes are known by then, over the members that can
    be judged by then. A member that comes later must not take its rows from those that were there."""
    counts = walk_forward[walk_forward["realised"].notna() & ~walk_forward["managed"]]
    judged_from = {
        str(model): np.sort(part["known_at"].dropna().unique())[MIN_DATES - 1 : MIN_DATES]
        for model, part in counts.groupby("model")
    }
    made: dict[tuple[str, ...], tuple[pd.DataFrame, pd.DataFrame, pd.Series]] = {}
    for date in dates:
        names = tuple(model for model, moment in judged_from.items() if len(moment) and moment[0] <= date)
        if names not in made:
            rows = comparable(walk_forward[walk_forward["model"].isin(names)], scored_only=False)
            made[names] = panel_losses(rows), panel_losses(rows, "loss_uncapped"), _known_at(rows)
        capped, uncapped, known_at = made[names]
        yield capped[known_at <= date], uncapped[known_at <= date]


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
