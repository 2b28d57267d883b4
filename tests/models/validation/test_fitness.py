"""What is said of probabilities beside the losses. (That unfit ones are refused: `test_gate.py`.)"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.validation.fitness import classifier_worth


def _rows(n: int, direct: float = 0.5) -> pd.DataFrame:
    """One day in ten is a spike; the mixture says 0.9 of it and 0 of others, the law 0.1 of all."""
    spike = np.arange(n) % 10 == 0
    return pd.DataFrame(
        {
            "realised": np.where(spike, 2.0, 0.5),
            "threshold": 1.0,
            "p_direct": direct,
            "p_law": 0.1,
            "p_spike": np.where(spike, 0.9, 0.0),
        }
    )


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        # Brier: 0.1 of the days off by 0.1 = 0.001; the usual rate itself: 0.1 * 0.81 + 0.9 * 0.01 = 0.09
        (
            _rows(1000),
            ["spikes: Brier skill 0.989 with the pool's classifier, 0.000 by the law of its errors alone"],
        ),
        (_rows(990), []),  # too few to say
        (_rows(1000, np.nan), []),  # no classifier
        (_rows(1000).drop(columns="p_direct"), []),
    ],
)
def test_worth_of_the_classifier_is_told_beside_the_law_alone(rows: pd.DataFrame, told: list[str]) -> None:
    assert classifier_worth(rows) == told
