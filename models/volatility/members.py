"""The members that compete for a panel, by name, in the order in which ties are broken."""

from __future__ import annotations

from collections.abc import Sequence

from models.contracts.market import SeriesKind
from models.volatility.combination import Combination
from models.volatility.ewma import Ewma
from models.volatility.forecaster import Forecaster
from models.volatility.garch import Garch, GjrGarch
from models.volatility.har import Har, LogHar
from models.volatility.har_x import LogHarX

BASELINES: dict[str, type[Forecaster]] = {member.name: member for member in (Ewma, Garch, Har, LogHar)}
NETWORKS = ("gru", "lstm", "tcn")
RESERVES = (GjrGarch.name, *NETWORKS)  # can be asked for by name; in the pool none of them pays for its fits
POOLED = (LogHarX.name, "lightgbm", *NETWORKS)  # one fit for the panel; a forecast of one series reads the others
MEMBERS = (*BASELINES, LogHarX.name, "lightgbm", Combination.name)


def members_for(kind: SeriesKind) -> tuple[str, ...]:
    """Who competes for a panel, the combination last: a vault is no pool to learn from, so it has baselines only."""
    return (*BASELINES, Combination.name) if kind is SeriesKind.VAULT else MEMBERS


def reads_panel(name: str, kind: SeriesKind) -> bool:
    """Whether a forecast of one series reads the others."""
    return name in POOLED or (name == Combination.name and kind is not SeriesKind.VAULT)


def make(
    name: str, kind: SeriesKind, horizon_days: int, threads: int = 1, parts: Sequence[str] | None = None
) -> Forecaster:
    """A fresh member. `parts`: what a combination pools; None = all others that compete for this kind.

    Raises
    ------
    ValueError
        `name` is not one of `MEMBERS` or `RESERVES`.
    """
    if name == Combination.name:
        names = [part for part in parts or members_for(kind) if part != Combination.name]
        return Combination(
            kind, horizon_days, threads, {part: make(part, kind, horizon_days, threads) for part in names}
        )
    if name == LogHarX.name:
        return LogHarX(kind, horizon_days, threads)
    if name == GjrGarch.name:
        return GjrGarch(kind, horizon_days, threads)
    if name == "lightgbm":
        from models.volatility.lightgbm_forecaster import LightGbm  # 3 s of import that baselines do not need

        return LightGbm(kind, horizon_days, threads)
    if name in NETWORKS:
        from models.volatility import sequence_forecaster

        cells = (sequence_forecaster.Gru, sequence_forecaster.Lstm, sequence_forecaster.Tcn)
        return {cell.name: cell for cell in cells}[name](kind, horizon_days, threads)
    if name not in BASELINES:
        raise ValueError(f"there is no forecaster named {name!r}: choose from {', '.join((*MEMBERS, *RESERVES))}")
    return BASELINES[name](kind, horizon_days, threads)
