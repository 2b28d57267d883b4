"""What shocks change: a run without any, with all of them, and with each one alone, on the same drawn paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import Any

from models.backtest.plain import as_plain
from models.stress.conditions import Conditions, compose
from models.stress.figures import Estimate, differences
from models.stress.results import VaultResult, result_of
from models.stress.setup import Setup
from models.stress.simulation import Control, Inject, Simulated, simulate_vault


@dataclass(frozen=True, eq=False)
class Marginal:
    """One run with shocks: its `result`, and by strategy its figures less those of the run without any (`effect`)."""

    result: VaultResult
    effect: Mapping[str, Mapping[str, Estimate]]

    def to_dict(self) -> dict[str, Any]:
        return {"result": self.result.to_dict(), "effect": as_plain(self.effect)}


@dataclass(frozen=True, eq=False)
class MarginalEffects:
    """`calm`: the run without shocks; `all`: with all of them at once; `alone`: with one each, by name.

    Effects do not add up to that of all: shocks meet, and of two spreads or halts the worse one holds.
    """

    calm: VaultResult
    all: Marginal
    alone: Mapping[str, Marginal]

    def to_dict(self) -> dict[str, Any]:
        return {
            "calm": self.calm.to_dict(),
            "all": self.all.to_dict(),
            "alone": {name: one.to_dict() for name, one in self.alone.items()},
        }


def marginal_effects(
    setup: Setup, paths: int, seed: int, shocks: Mapping[str, Inject], control: Control | None = None
) -> MarginalEffects:
    """Run `setup` with and without each of `shocks`: 2 + len(shocks) runs of the same drawn paths, one fewer where a
    single shock is all of them.

    Parameters
    ----------
    shocks : name -> conditions of given paths, as `simulate_vault` takes them
    control : progress counts over all runs

    Raises
    ------
    Cancelled, ValueError
        As `simulate_vault`, or there is no shock.
    """
    if not shocks:
        raise ValueError("there is no shock whose effect could be told")
    control = control or Control()
    single = len(shocks) == 1
    runs = len(shocks) + (1 if single else 2)
    calm = simulate_vault(setup, paths, seed, None, _part(control, 0, runs))
    alone = {
        name: _against(
            setup, calm, simulate_vault(setup, paths, seed, inject, _part(control, i, runs)), control.threads
        )
        for i, (name, inject) in enumerate(shocks.items(), start=1)
    }
    if single:
        return MarginalEffects(result_of(setup, calm, control.threads), next(iter(alone.values())), alone)
    together = simulate_vault(setup, paths, seed, all_of(shocks), _part(control, runs - 1, runs))
    return MarginalEffects(
        result_of(setup, calm, control.threads), _against(setup, calm, together, control.threads), alone
    )


def all_of(shocks: Mapping[str, Inject]) -> Inject:
    """All shocks at once."""
    return partial(_together, tuple(shocks.values()))


def _together(shocks: Sequence[Inject], first: int, paths: int) -> Conditions:
    return reduce(compose, (inject(first, paths) for inject in shocks))


def _against(setup: Setup, calm: Simulated, shocked: Simulated, threads: int) -> Marginal:
    effect = {name: differences(table, calm.tables[name], setup.ruin_loss) for name, table in shocked.tables.items()}
    return Marginal(result_of(setup, shocked, threads), effect)


def _part(control: Control, run: int, runs: int) -> Control:
    whole = control.progress
    if whole is None:
        return control
    return replace(control, progress=lambda share: whole((run + share) / runs))
