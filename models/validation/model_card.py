"""The model card of a registered version: what it is, on what evidence it serves, and where it must not be used.

After Mitchell et al. (2019). Text only; whoever registers the version passes what it knows.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from models.validation.gate import GateDecision
from models.volatility.bundle import Bundle

_FIGURES = (
    "qlike",
    "ratio_to_best_baseline",
    "dm_p_value",
    "spike_auc",
    "spike_brier_skill",
    "spike_ece",
    "var99_rate",
)
_LIMITS = """\
- A score speaks of the series' own last year; 50 is its usual risk. It is no forecast of direction.
- Rates that are kept still, held prints and short histories get a reason instead of a number.
- Peg breaks and other events without a precedent in the panel are not foreseen: the law knows its own errors only.
- Champions expire; a version that is too old is replaced by the baseline."""


def model_card(bundle: Bundle, decision: GateDecision, figures: pd.DataFrame, evidence: Mapping[str, object]) -> str:
    """Markdown. `figures`: rows of `evaluate` for the whole panel (`series` = `*`); `evidence`: hashes and versions of
    packages, by name."""
    served = ", ".join(sorted(bundle.laws)) or "none yet"
    days = "day" if bundle.horizon_days == 1 else f"{bundle.horizon_days} days"
    lines = [
        f"# Volatility of {bundle.kind.value}, next {days}: {bundle.champion}",
        "",
        f"Forecasts the mean realised variance of the next {days} and the probability that it "
        "exceeds the 90 % quantile of the series' last year (VolatilityScore).",
        "",
        "## Training",
        "",
        f"- rows from {bundle.trained_from:%Y-%m-%d} to {bundle.known_until:%Y-%m-%d}, labels purged by the horizon "
        "and one day",
        f"- {len(bundle.laws)} series: {served}",
        f"- {len(bundle.features)} columns of features.volatility: {', '.join(bundle.features)}",
        "",
        "## Why it serves",
        "",
        *(f"- {reason}" for reason in decision.reasons),
        "",
        "## Out of sample, whole panel",
        "",
        *_table(figures),
        "",
        "## Limits",
        "",
        _LIMITS,
        "",
        "## Evidence",
        "",
        *(f"- {name}: {value}" for name, value in evidence.items()),
    ]
    return "\n".join(lines) + "\n"


def _table(figures: pd.DataFrame) -> list[str]:
    if figures.empty:
        return ["Too short a history to compare anything."]
    names = [name for name in _FIGURES if name in figures]
    head = ["model", *names]
    rows = [
        [str(row["model"]), *("" if pd.isna(row[name]) else f"{row[name]:.4g}" for name in names)]
        for row in figures.to_dict("records")
    ]
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
