"""Who serves once the gate has spoken: what it chose, or the baseline in force while that choice fails lately.

The gate judges years, `models.validation.decay` weeks. Pure: the same evaluation and past give the same answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from models.validation.decay import MAX_RATIO, RETURN_RATIO, SIGNIFICANCE, Fallback, fallback
from models.validation.evaluation import comparable, panel_losses
from models.validation.gate import GateDecision
from models.volatility.ewma import Ewma


@dataclass(frozen=True, slots=True)
class Succession:
    """`algorithm` is to serve. `look`: at the newest outcomes of what the gate chose, up to the origin `until`; both
    None where it chose a baseline, which has nothing to fall back on."""

    chosen: str
    algorithm: str
    look: Fallback | None = None
    until: pd.Timestamp | None = None

    @property
    def fell_back(self) -> bool:
        return self.algorithm != self.chosen

    def evidence(self) -> dict[str, Any]:
        """The look as JSON values under `fallback`, for the ledger; empty without one."""
        look, until = self.look, self.until
        if look is None or until is None:
            return {}
        seen = {
            "model": self.chosen,
            "reference": Ewma.name,
            "until": until.isoformat(),
            "dates": look.dates,
            "ratio": look.ratio if math.isfinite(look.ratio) else None,
            "p_value": look.p_value if math.isfinite(look.p_value) else None,
            "triggered": look.triggered,
            "rule": {"above": MAX_RATIO, "p_below": SIGNIFICANCE, "returns_below": RETURN_RATIO},
        }
        return {"fallback": seen}


def succession(decision: GateDecision, walk_forward: pd.DataFrame, away: bool) -> Succession:
    """Who serves after an evaluation.

    Parameters
    ----------
    walk_forward : the forecasts that the gate has judged, outcomes as far as they are known
    away : a baseline serves now because the gate's choice gave way: it must be better than EWMA again to return

    Notes
    -----
    The stand-in is the baseline in force over the whole evaluation, not the best one of the window: few outcomes say
    that something is wrong, but not what is better. (Recorded coins, seven days, windows of 28 overlapping dates: with
    EWMA wherever log-HAR had lost more than the champion in the window, 0.44 was lost while it was away, with log-HAR
    alone 0.27, by the champion itself 0.27.)
    """
    if not decision.promoted:
        return Succession(decision.champion, decision.champion)
    losses = panel_losses(comparable(walk_forward))
    look = fallback(losses, decision.champion, Ewma.name, decision.horizon_days, away)
    algorithm = decision.best_baseline if look.triggered else decision.champion
    return Succession(decision.champion, algorithm, look, losses.index[-1])
