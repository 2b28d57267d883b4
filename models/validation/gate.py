"""The gate: which member may serve a panel and horizon. Nothing is promoted without evidence against the baselines.

The challenger must beat the baseline in force on the panel's mean loss, significantly, and also where losses are not
capped; else that baseline serves. In force is log-HAR, the one to beat by the literature, until another is clearly
better: the lowest mean of four on a year of data is luck as often as merit. Among challengers that pass, the
combination is preferred in the same way: what it pools is hard to beat by picking (Timmermann 2006).

Significance is asked twice: of the horizon alone (Diebold & Mariano 1995) and of both horizons of the panel together
(average superior predictive ability, Quaedvlieg 2021), since windows of a week overlap and one horizon alone would need
many years. The level is shared among all that is asked (Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import pandas as pd

from models.validation.by_regime import floor_of
from models.validation.confidence_set import confidence_set
from models.validation.evaluation import best_baseline, comparable, panel_losses
from models.validation.fitness import classifier_worth, unfit
from models.validation.losses import diebold_mariano
from models.volatility.combination import Combination
from models.volatility.ewma import Ewma
from models.volatility.har import LogHar
from models.volatility.members import BASELINES

SIGNIFICANCE = 0.05  # that any challenger without an advantage is accepted
LONGEST_HORIZON = 7  # windows of it overlap: the lags of the joint test
FIGURES = ("model", "qlike", "qlike_uncapped", "ratio", "ratio_uncapped", "dm_p_value", "p_both_horizons")
MAX_UNCAPPED_RATIO = 1.0  # the cap forgives under-forecasting of the worst days: there the challenger may not be worse
LEFT_OUT_NAMED = 5
MIN_DATES = 250  # about a year: fewer date means carry no test


@dataclass(frozen=True, slots=True)
class GateDecision:
    """Champion of a panel and horizon, why, and the figures it rests on.

    `table`: one row per member: `model`, `qlike`, `qlike_uncapped`, `ratio`, `ratio_uncapped` (to the baseline in
    force), `dm_p_value` (one-sided, date means), `p_both_horizons`, `accepted`. `dates`: date means compared.
    """

    horizon_days: int
    champion: str
    best_baseline: str  # the one in force
    promoted: bool  # True: the champion is not a baseline
    dates: int
    reasons: tuple[str, ...]
    table: pd.DataFrame


def decide(walk_forward: pd.DataFrame, other: pd.DataFrame | None = None) -> GateDecision:
    """Decide from the walk-forward of one panel and horizon; `other`: that of the panel's other horizon.

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
    elsewhere = panel_losses(comparable(other)) if other is not None and len(other) else None
    losses = panel_losses(rows)
    refused = _refused(rows, horizon) if len(losses) >= MIN_DATES else {}
    decision = choose(losses, panel_losses(rows, "loss_uncapped"), horizon, elsewhere, refused)
    worth = classifier_worth(rows[rows["model"] == decision.champion])
    return replace(decision, reasons=(*decision.reasons, *worth, *_left_out(walk_forward, rows)))


def choose(
    capped: pd.DataFrame,
    uncapped: pd.DataFrame,
    horizon: int,
    elsewhere: pd.DataFrame | None = None,
    refused: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> GateDecision:
    """Decide from mean losses by date (index) and member (columns), capped and not; `elsewhere`: capped ones of the
    panel's other horizon; `refused`: objections to a challenger that losses do not show."""
    if len(capped) < MIN_DATES:
        why = f"{len(capped)} comparable dates are fewer than {MIN_DATES}: {Ewma.name} serves until there are more"
        empty = pd.DataFrame(columns=list(FIGURES))
        return GateDecision(horizon, Ewma.name, Ewma.name, False, len(capped), (why,), empty)
    best = baseline_in_force(capped, horizon)
    joint = _advantages(capped, elsewhere)
    table = pd.DataFrame([_figures(str(model), best, capped, uncapped, horizon, joint) for model in capped.columns])
    reasons = [f"{best} is the baseline in force: QLIKE {capped[best].mean():.4f}{_beside(best, capped)}"]
    challengers = table[~table["model"].isin(BASELINES)].sort_values("qlike")
    asked = int(challengers[["dm_p_value", "p_both_horizons"]].notna().sum().sum())
    passed = []
    for _, figures in challengers.iterrows():
        name, ratio, raw = (figures[column] for column in ("model", "ratio", "ratio_uncapped"))
        p = min((x for x in (figures["dm_p_value"], figures["p_both_horizons"]) if x == x), default=math.nan)
        objections = _objections(float(ratio), p, SIGNIFICANCE / max(asked, 1), float(raw))
        objections += refused.get(str(name), ())
        if objections:
            reasons.append(f"{name} refused: {'; '.join(objections)}")
        else:
            passed.append(str(name))
            reasons.append(f"{name} passed: QLIKE {ratio:.3f} of {best}, p = {p:.4f}, uncapped {raw:.3f}")
    champion = preferred(capped, passed, Combination.name, horizon) if passed else best
    if len(passed) > 1:
        reasons.append(f"{champion} chosen among them")
    table["accepted"] = table["model"] == champion
    return GateDecision(horizon, champion, best, bool(passed), len(capped), tuple(reasons), table)


def baseline_in_force(losses: pd.DataFrame, horizon: int) -> str:
    """log-HAR, the one to beat by the literature, unless another baseline is significantly better."""
    best_baseline(losses.mean())  # raises where there is none
    return preferred(losses, [name for name in BASELINES if name in losses], LogHar.name, horizon)


def preferred(losses: pd.DataFrame, names: Sequence[str], reference: str, horizon: int) -> str:
    """`reference` unless another of `names` is significantly better, then the best of those; without it the best."""
    if reference not in names:
        return str(losses[list(names)].mean().idxmin())
    against = losses[reference].to_numpy()
    better = [n for n in names if diebold_mariano(losses[n].to_numpy(), against, horizon)[1] < SIGNIFICANCE]
    return str(losses[better].mean().idxmin()) if better else reference


def _refused(rows: pd.DataFrame, horizon: int) -> dict[str, list[str]]:
    """Objections to challengers beside their mean losses: calibration, tails, the floor in every regime, the model
    confidence set."""
    found = {str(model): unfit(own) for model, own in rows.groupby("model") if model not in BASELINES}
    losses = panel_losses(rows)
    if "regime" in rows:
        for model, objections in found.items():
            objections += floor_of(rows, model, baseline_in_force(losses, horizon)).reasons
    if not np.isfinite(losses.to_numpy()).all():
        return found  # its losses are not finite, which is objected to anyway
    best = confidence_set(losses, horizon)
    for model, objections in found.items():
        if model not in best:
            objections.append("it is outside the 90 % model confidence set")
    return found


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
    model: str,
    best: str,
    capped: pd.DataFrame,
    uncapped: pd.DataFrame,
    horizon: int,
    joint: pd.DataFrame,
) -> dict[str, str | float]:
    own, base = capped[model].to_numpy(), capped[best].to_numpy()
    return {
        "model": model,
        "qlike": float(own.mean()),
        "qlike_uncapped": float(uncapped[model].mean()),
        "ratio": float(own.mean() / base.mean()),
        "ratio_uncapped": float(uncapped[model].mean() / uncapped[best].mean()),
        "dm_p_value": math.nan if model == best else diebold_mariano(own, base, horizon)[1],
        "p_both_horizons": math.nan if model == best else _joint_p(model, joint),
    }


def _advantages(capped: pd.DataFrame, elsewhere: pd.DataFrame | None) -> pd.DataFrame:
    """By date and member, the loss less that of the baseline in force, in units of its mean: mean of both horizons."""
    if elsewhere is None or elsewhere.empty:
        return pd.DataFrame()
    here, there = (
        losses.sub(base, axis=0) / base.mean()
        for losses in (capped, elsewhere)
        for base in (losses[baseline_in_force(losses, LONGEST_HORIZON)],)
    )
    return (here + there) / 2.0


def _joint_p(model: str, joint: pd.DataFrame) -> float:
    """p-value of "better on the average of both horizons" (`_advantages`)."""
    if model not in joint:
        return math.nan
    both = joint[model].dropna().to_numpy()
    return diebold_mariano(both, np.zeros(len(both)), LONGEST_HORIZON)[1] if len(both) else math.nan


def _objections(ratio: float, p: float, level: float, raw: float) -> list[str]:
    out = []
    if not np.isfinite([ratio, p, raw]).all():
        return ["its losses are not finite"]
    if ratio >= 1.0:
        out.append(f"QLIKE {ratio:.3f} of the baseline in force is not below it")
    if p >= level:
        out.append(f"the difference could be chance (p = {p:.3f}, needs < {level:.4f})")
    if raw > MAX_UNCAPPED_RATIO:
        out.append(f"without the cap its loss is {raw:.3f} of the baseline: it under-forecasts the worst days")
    return out


def _beside(best: str, capped: pd.DataFrame) -> str:
    others = [name for name in BASELINES if name in capped and name != best]
    return "".join(f", {name} {capped[name].mean():.4f}" for name in others)
