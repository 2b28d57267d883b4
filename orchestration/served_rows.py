"""Rows as a caller of a registered model gives and gets them: plain floats and texts, UTC times without a zone.

MLflow knows no time zones and no nullable numbers; everything else of ours does. Pure.
"""

from __future__ import annotations

import pandas as pd

from models.volatility.panel import OPTIONAL_COLUMNS, REQUIRED_COLUMNS

_EXAMPLE_SERIES, _EXAMPLE_ROWS = 2, 60  # an artefact that says what rows look like, not a data set
_ANSWER = (
    "series", "as_of", "status", "rv_forecast", "p_spike", "score", "sigma_ann", "var99", "es99", "rv_low", "rv_high",
    "threshold", "share_imputed",
)  # fmt: skip


def question(rows: pd.DataFrame, last: int = _EXAMPLE_ROWS) -> pd.DataFrame:
    """The `last` rows of two series of `features.volatility`, as an input example."""
    chosen = rows[rows["series"].isin(sorted(rows["series"].unique())[:_EXAMPLE_SERIES])]
    chosen = chosen.groupby("series", sort=True).tail(last).reset_index(drop=True)
    chosen = chosen[[name for name in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS) if name in chosen.columns]]
    numbers = {name: chosen[name].astype(float) for name in chosen.columns if name not in ("series", "as_of")}
    return chosen.assign(series=chosen["series"].astype(object), as_of=_naive(chosen["as_of"]), **numbers)


def answer(predicted: pd.DataFrame) -> pd.DataFrame:
    """What a registered model answers for a prediction of its bundle."""
    kept = predicted[list(_ANSWER)].reset_index(drop=True)
    texts = {name: kept[name].astype(object) for name in ("series", "status")}
    return kept.assign(**texts, as_of=_naive(kept["as_of"]))


def _naive(moments: pd.Series) -> pd.Series:
    naive: pd.Series = moments.dt.tz_convert("UTC").dt.tz_localize(None).astype("datetime64[ns]")
    return naive
