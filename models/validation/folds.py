"""A walk-forward looked at piece by piece: whether an advantage is there all the time or was made in one crisis."""

from __future__ import annotations

import numpy as np
import pandas as pd

from models.validation.evaluation import comparable, panel_losses

MAX_FOLDS = 12
MIN_DATES = 60  # of a fold: fewer tell luck


def losses_by_fold(walk_forward: pd.DataFrame) -> pd.DataFrame:
    """Mean QLIKE of each model in consecutive pieces of equally many scored dates, at most 12.

    Returns
    -------
    One row a fold, oldest first: `first`, `last` (moments of origins), `dates`, and a column a model. Empty where
    nothing can be compared.
    """
    losses = panel_losses(comparable(walk_forward))
    if losses.empty:
        return pd.DataFrame()
    pieces = np.array_split(np.arange(len(losses)), max(1, min(MAX_FOLDS, len(losses) // MIN_DATES)))
    parts = [losses.iloc[piece] for piece in pieces]
    return pd.DataFrame(
        [{"first": part.index[0], "last": part.index[-1], "dates": len(part), **part.mean()} for part in parts]
    )
