"""Figures of a walk-forward: one row per model and series, and one for the panel.

Models are compared on the rows where all of them have a forecast; managed rows are not scored. Reading only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from models.validation.coverage import christoffersen, kupiec
from models.validation.losses import diebold_mariano, qlike
from models.validation.spikes import area_under_roc, brier_skill, expected_calibration_error
from models.volatility.members import BASELINES

PANEL = "*"  # series name of the row that speaks for the whole panel
MIN_ROWS = 100
VAR_LEVEL = 0.01


def comparable(walk_forward: pd.DataFrame, scored_only: bool = True) -> pd.DataFrame:
    """Rows that count: scored, with a known outcome, not managed, and forecast by every model of the frame.

    Returns
    -------
    The rows with `loss` (QLIKE capped at 10) and `loss_uncapped`, in the order (model, series, as_of). A model that
    starts later than the others shortens the rows of its series for all of them; one without any row is left out.
    """
    counts = ~walk_forward["managed"] & walk_forward["realised"].notna()
    rows = walk_forward[counts & walk_forward["scored"] if scored_only else counts]
    models = rows["model"].nunique()
    rows = rows[rows.groupby(["series", "as_of"])["model"].transform("size") == models]
    realised, forecast = rows["realised"].to_numpy(), rows["rv_forecast"].to_numpy()
    rows = rows.assign(loss=qlike(realised, forecast), loss_uncapped=qlike(realised, forecast, math.inf))
    return rows.sort_values(["model", "series", "as_of"], ignore_index=True)


def evaluate(walk_forward: pd.DataFrame) -> pd.DataFrame:
    """Table of (model, series) for one panel and horizon.

    Returns
    -------
    `model`, `series` (`*` = panel: mean over series, Diebold-Mariano on date means), `horizon_days`, `rows`, `qlike`,
    `qlike_uncapped`, `ratio_to_best_baseline`, `ratio_uncapped`, `dm_p_value` (one-sided, against the best baseline
    of the series; NaN for that baseline itself), `spike_auc`, `spike_brier_skill`, `spike_ece`, `var99_rate`,
    `var99_kupiec`, `var99_christoffersen`. A series under 100 comparable rows has no row.
    """
    rows = comparable(walk_forward)
    size = rows.groupby("series")["as_of"].transform("nunique")
    rows = rows[size >= MIN_ROWS]
    table = []
    for series, part in rows.groupby("series", sort=True):
        table += _compare({str(model): own for model, own in part.groupby("model")}, str(series))
    if not table:
        return pd.DataFrame(columns=["model", "series", "horizon_days", "rows", "qlike"])
    by_series = pd.DataFrame(table)
    return pd.concat([by_series, _panel_rows(by_series, rows)], ignore_index=True)


def panel_losses(rows: pd.DataFrame, column: str = "loss") -> pd.DataFrame:
    """Mean loss by date (index) and model (columns): correlated series count once a day."""
    return rows.pivot_table(index="as_of", columns="model", values=column, aggfunc="mean").sort_index()


def best_baseline(losses: pd.Series) -> str:
    """The baseline with the lowest loss of a series indexed by model; ties go to the simpler one."""
    present = [name for name in BASELINES if name in losses.index]
    if not present:
        raise ValueError(f"no baseline among {list(losses.index)}: run at least one of {', '.join(BASELINES)}")
    return min(present, key=lambda name: float(losses[name]))


def _compare(parts: dict[str, pd.DataFrame], series: str) -> list[dict[str, object]]:
    capped = pd.Series({model: float(part["loss"].mean()) for model, part in parts.items()})
    uncapped = pd.Series({model: float(part["loss_uncapped"].mean()) for model, part in parts.items()})
    best = best_baseline(capped)
    horizon = int(parts[best]["horizon_days"].iloc[0])
    out = []
    for model, part in parts.items():
        p = diebold_mariano(part["loss"].to_numpy(), parts[best]["loss"].to_numpy(), horizon)[1]
        out.append(
            {
                "model": model,
                "series": series,
                "horizon_days": horizon,
                "rows": len(part),
                "qlike": capped[model],
                "qlike_uncapped": uncapped[model],
                "ratio_to_best_baseline": capped[model] / capped[best],
                "ratio_uncapped": uncapped[model] / uncapped[best_baseline(uncapped)],
                "dm_p_value": math.nan if model == best else p,
                **_spike_figures([part]),
                **_tail_figures(part),
            }
        )
    return out


def _panel_rows(by_series: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    losses = panel_losses(rows)
    best = best_baseline(losses.mean())
    horizon = int(by_series["horizon_days"].iloc[0])
    out = []
    for model, part in by_series.groupby("model", sort=True):
        own = rows[rows["model"] == model]
        p = diebold_mariano(losses[str(model)].to_numpy(), losses[best].to_numpy(), horizon)[1]
        means = part.drop(columns=["model", "series", "horizon_days", "rows", "dm_p_value"]).mean()
        out.append(
            {
                "model": model,
                "series": PANEL,
                "horizon_days": horizon,
                "rows": int(part["rows"].sum()),
                **{str(name): float(value) for name, value in means.items()},
                "dm_p_value": math.nan if model == best else p,
                **_spike_figures([own]),
            }
        )
    return pd.DataFrame(out)


def _spike_figures(parts: Sequence[pd.DataFrame]) -> dict[str, float]:
    rows = pd.concat(parts)
    rows = rows[rows["p_spike"].notna() & rows["threshold"].notna()]
    if len(rows) < MIN_ROWS:
        return {"spike_auc": math.nan, "spike_brier_skill": math.nan, "spike_ece": math.nan}
    outcome = np.asarray(rows["realised"] > rows["threshold"], dtype=np.float64)
    probability = rows["p_spike"].to_numpy()
    return {
        "spike_auc": area_under_roc(outcome, probability),
        "spike_brier_skill": brier_skill(outcome, probability),
        "spike_ece": expected_calibration_error(outcome, probability),
    }


def _tail_figures(part: pd.DataFrame) -> dict[str, float]:
    rows = part[part["var99"].notna() & part["ret_next"].notna()]
    if len(rows) < MIN_ROWS:
        return {"var99_rate": math.nan, "var99_kupiec": math.nan, "var99_christoffersen": math.nan}
    hits = np.asarray(rows["ret_next"].to_numpy() < -rows["var99"].to_numpy())
    return {
        "var99_rate": float(hits.mean()),
        "var99_kupiec": kupiec(hits, VAR_LEVEL),
        "var99_christoffersen": christoffersen(hits),
    }
