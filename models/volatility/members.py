"""The members that compete for a panel, by name, in the order in which ties are broken."""

from __future__ import annotations

from models.contracts.market import SeriesKind
from models.volatility.ewma import Ewma
from models.volatility.forecaster import Forecaster
from models.volatility.garch import Garch
from models.volatility.har import Har, LogHar
from models.volatility.har_x import LogHarX

BASELINES: dict[str, type[Forecaster]] = {member.name: member for member in (Ewma, Garch, Har, LogHar)}
CHALLENGERS = (LogHarX.name, "lightgbm")
MEMBERS = (*BASELINES, *CHALLENGERS)
NETWORKS = ("gru", "lstm", "tcn")  # can be asked for by name
POOLED = (*CHALLENGERS, *NETWORKS)  # one fit for the panel; a forecast of one series reads the others


def members_for(kind: SeriesKind) -> tuple[str, ...]:
    """Who competes for a panel: a vault is no pool to learn from, so its baselines compete alone."""
    return tuple(BASELINES) if kind is SeriesKind.VAULT else MEMBERS


def make(name: str, kind: SeriesKind, horizon_days: int, threads: int = 1) -> Forecaster:
    """A fresh member.

    Raises
    ------
    ValueError
        `name` is not one of `MEMBERS` or `NETWORKS`.
    """
    if name == LogHarX.name:
        return LogHarX(kind, horizon_days, threads)
    if name == "lightgbm":
        from models.volatility.lightgbm_forecaster import LightGbm  # 3 s of import that baselines do not need

        return LightGbm(kind, horizon_days, threads)
    if name in NETWORKS:
        from models.volatility import sequence_forecaster

        cells = (sequence_forecaster.Gru, sequence_forecaster.Lstm, sequence_forecaster.Tcn)
        return {cell.name: cell for cell in cells}[name](kind, horizon_days, threads)
    if name not in BASELINES:
        raise ValueError(f"there is no forecaster named {name!r}: choose from {', '.join((*MEMBERS, *NETWORKS))}")
    return BASELINES[name](kind, horizon_days, threads)
