"""Whether a challenger's probabilities and tails may be published: what a low loss of the variance does not show."""

from __future__ import annotations

import numpy as np
import pandas as pd

from models.validation.spikes import brier_skill, expected_calibration_error

MAX_CALIBRATION_ERROR = 0.03  # twice the goal of 0.015: a score of 80 must not mean 70 or 87
VAR_RATE = (0.005, 0.02)  # half and twice the promised 1 %: outside, the tail is another one
MIN_ROWS = 1000  # ten exceedances promised: fewer say nothing about a rate of 1 %


def unfit(rows: pd.DataFrame) -> list[str]:
    """Objections to one member's rows of `models.validation.evaluation.comparable`; none under 1,000 rows."""
    out = []
    asked = rows[rows["p_spike"].notna() & rows["threshold"].notna()]
    if len(asked) >= MIN_ROWS:
        outcome = np.asarray(asked["realised"] > asked["threshold"], dtype=np.float64)
        error = expected_calibration_error(outcome, asked["p_spike"].to_numpy())
        if error > MAX_CALIBRATION_ERROR:
            out.append(f"its spike probabilities are off by {error:.3f} on average (at most {MAX_CALIBRATION_ERROR})")
    tails = rows[rows["var99"].notna() & rows["ret_next"].notna()]
    if len(tails) >= MIN_ROWS:
        rate = float((tails["ret_next"] < -tails["var99"]).mean())
        if not VAR_RATE[0] <= rate <= VAR_RATE[1]:
            low, high = VAR_RATE
            out.append(f"{rate:.2%} of the days lost more than VaR 99 (allowed {low:.1%} to {high:.1%})")
    return out


def classifier_worth(rows: pd.DataFrame) -> list[str]:
    """What the pool's spike classifier adds to one member's probabilities, in words; nothing where there is none.

    Parameters
    ----------
    rows : one member's rows of `models.validation.evaluation.comparable`
    """
    if "p_direct" not in rows:
        return []
    asked = rows[rows[["p_direct", "p_law", "p_spike", "threshold"]].notna().all(axis=1)]
    if len(asked) < MIN_ROWS:
        return []
    outcome = np.asarray(asked["realised"] > asked["threshold"], dtype=np.float64)
    mixed, alone = (brier_skill(outcome, asked[column].to_numpy()) for column in ("p_spike", "p_law"))
    return [f"spikes: Brier skill {mixed:.3f} with the pool's classifier, {alone:.3f} by the law of its errors alone"]
