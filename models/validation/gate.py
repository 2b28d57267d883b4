"""The gate: which member may serve a panel and horizon. Nothing is promoted without evidence against the baselines.

The challenger must beat the best baseline on the panel's mean loss, significantly, and also where losses are not
capped; else the best baseline serves, and where no baseline beats EWMA, EWMA does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from models.validation.evaluation import best_baseline, comparable, panel_losses
from models.validation.losses import diebold_mariano
from models.volatility.ewma import Ewma
from models.volatility.members import BASELINES

SIGNIFICANCE = 0.05
MAX_UNCAPPED_RATIO = 1.0  # the cap forgives under-forecasting of the worst days: there the challenger may not be worse
LEFT_OUT_NAMED = 5
MIN_DATES = 250  # about a year: fewer date means carry no test


@dataclass(frozen=True, slots=True)
class GateDecision:
    """Champion of a panel and horizon, why, and the figures it rests on.

    `table`: one row per member: `model`, `qlike`, `qlike_uncapped`, `ratio`, `ratio_uncapped` (to the best baseline),
    `dm_p_value` (one-sided, date means), `accepted`. `dates`: number of date means compared.
    """

    horizon_days: int
    champion: str
    best_baseline: str
    promoted: bool  # True: the champion is not a baseline
    dates: int
    reasons: tuple[str, ...]
    table: pd.DataFrame


def decide(walk_forward: pd.DataFrame) -> GateDecision:
    """Decide from the walk-forward of one panel and horizon.

    Raises
    ------
    ValueError
        The frame mixes horizons or holds no baseline. A frame without rows is not an error: EWMA serves.
    """
    horizons = walk_forward["horizon_days"].unique()
    if len(horizons) > 1:
        raise ValueError(f"one horizon at a time: the frame holds {sorted(int(h) for h in horizons)}")
    horizon = int(horizons[0]) if len(horizons) else 0
    rows = comparable(walk_forward)
    decision = choose(panel_losses(rows), panel_losses(rows, "loss_uncapped"), horizon)
    return replace(decision, reasons=(*decision.reasons, *_left_out(walk_forward, rows)))


def choose(capped: pd.DataFrame, uncapped: pd.DataFrame, horizon: int) -> GateDecision:
    """Decide from mean losses by date (index) and member (columns), capped and not."""
    if len(capped) < MIN_DATES:
        why = f"{len(capped)} comparable dates are fewer than {MIN_DATES}: {Ewma.name} serves until there are more"
        empty = pd.DataFrame(columns=["model", "qlike", "qlike_uncapped", "ratio", "ratio_uncapped", "dm_p_value"])
        return GateDecision(horizon, Ewma.name, Ewma.name, False, len(capped), (why,), empty)
    best = best_baseline(capped.mean())
    table = pd.DataFrame([_figures(str(model), best, capped, uncapped, horizon) for model in capped.columns])
    reasons = [_about_baseline(best, capped)]
    champion = best
    for _, figures in table[~table["model"].isin(BASELINES)].sort_values("qlike").iterrows():
        name, ratio, p, raw = (figures[column] for column in ("model", "ratio", "dm_p_value", "ratio_uncapped"))
        objections = _objections(float(ratio), float(p), float(raw))
        if not objections and champion == best:
            champion = str(name)
            reasons.append(f"{name} accepted: QLIKE {ratio:.3f} of {best}, p = {p:.4f}, uncapped {raw:.3f}")
        else:
            reasons.append(f"{name} refused: {'; '.join(objections) or 'another challenger is better'}")
    table["accepted"] = table["model"] == champion
    return GateDecision(horizon, champion, best, champion != best, len(capped), tuple(reasons), table)


def _left_out(walk_forward: pd.DataFrame, compared: pd.DataFrame) -> list[str]:
    """Series with outcomes that no comparison rests on, because a member has no forecast of them."""
    counts = walk_forward["scored"] & ~walk_forward["managed"] & walk_forward["realised"].notna()
    missing = sorted(set(walk_forward.loc[counts, "series"]) - set(compared["series"]))
    if not missing:
        return []
    members = set(walk_forward["model"])
    told = []
    for series in missing[:LEFT_OUT_NAMED]:
        silent = members - set(walk_forward.loc[counts & (walk_forward["series"] == series), "model"])
        told.append(f"{series} ({', '.join(sorted(silent)) or 'no common row'})")
    more = f" and {len(missing) - len(told)} more" if len(missing) > len(told) else ""
    return [f"not compared, for want of a forecast: {', '.join(told)}{more}"]


def _figures(
    model: str, best: str, capped: pd.DataFrame, uncapped: pd.DataFrame, horizon: int
) -> dict[str, str | float]:
    own, base = capped[model].to_numpy(), capped[best].to_numpy()
    return {
        "model": model,
        "qlike": float(own.mean()),
        "qlike_uncapped": float(uncapped[model].mean()),
        "ratio": float(own.mean() / base.mean()),
        "ratio_uncapped": float(uncapped[model].mean() / uncapped[best].mean()),
        "dm_p_value": math.nan if model == best else diebold_mariano(own, base, horizon)[1],
    }


def _objections(ratio: float, p: float, raw: float) -> list[str]:
    out = []
    if not np.isfinite([ratio, p, raw]).all():
        return ["its losses are not finite"]
    if ratio >= 1.0:
        out.append(f"QLIKE {ratio:.3f} of the best baseline is not below it")
    if p >= SIGNIFICANCE:
        out.append(f"the difference could be chance (p = {p:.3f}, needs < {SIGNIFICANCE})")
    if raw > MAX_UNCAPPED_RATIO:
        out.append(f"without the cap its loss is {raw:.3f} of the baseline: it under-forecasts the worst days")
    return out


def _about_baseline(best: str, capped: pd.DataFrame) -> str:
    if best == Ewma.name:
        return f"{best} is the best baseline: nothing simple beats it"
    against = f" against {capped[Ewma.name].mean():.4f} of {Ewma.name}" if Ewma.name in capped else ""
    return f"{best} is the best baseline: QLIKE {capped[best].mean():.4f}{against}"
