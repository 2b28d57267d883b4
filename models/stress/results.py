"""What a simulation of a vault says: figures of hold, policy and mix, what the keeper changed, bands of equity."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.backtest.plain import as_plain
from models.stress.bands import LEAST_PATHS, PERCENTS, EquityBands, equity_bands
from models.stress.course_figures import DRAWDOWN
from models.stress.figures import Estimate, differences, estimates
from models.stress.setup import Setup
from models.stress.simulation import Simulated

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

DRAWDOWN_BINS = 50  # of 2 % each


@dataclass(frozen=True, eq=False)
class VaultResult:
    """Figures of one run; all of them for the same paths.

    Parameters
    ----------
    paths, steps : of the run
    mix_weights : by symbol, the constant mix that holds on average as much as the policy did
    figures : strategy -> name -> estimate; strategies hold (no keeper), policy (with keeper), mix
    policy_less : of hold and mix, figures of the policy less theirs on common random numbers
    bands : strategy -> bands; None below 100 paths
    drawdown_edges : (51,) of the bins of 2 %
    drawdown_counts : strategy -> (50,) paths whose largest drawdown lies in the bin
    """

    paths: int
    steps: int
    mix_weights: Mapping[str, float]
    figures: Mapping[str, Mapping[str, Estimate]]
    policy_less: Mapping[str, Mapping[str, Estimate]]
    bands: Mapping[str, EquityBands | None]
    drawdown_edges: FloatArray
    drawdown_counts: Mapping[str, IntArray]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, text, lists and dictionaries for JSON; what is lacking is None and says why."""
        too_few = f"bands need {LEAST_PATHS} paths, there are {self.paths}"
        return {
            "paths": self.paths,
            "steps": self.steps,
            "mix_weights": as_plain(self.mix_weights),
            "figures": as_plain(self.figures),
            "policy_less": as_plain(self.policy_less),
            "bands": {
                name: {"reason": too_few} if band is None else {"percents": list(PERCENTS), **as_plain(band)}
                for name, band in self.bands.items()
            },
            "drawdown_edges": as_plain(self.drawdown_edges),
            "drawdown_counts": as_plain(self.drawdown_counts),
        }


def result_of(setup: Setup, simulated: Simulated, threads: int = 1) -> VaultResult:
    """Figures, differences and bands of a run of `setup`. `threads` that share the bands change no byte."""
    tables, ruin = simulated.tables, setup.ruin_loss
    edges = np.linspace(0.0, 1.0, DRAWDOWN_BINS + 1)
    with ThreadPoolExecutor(threads) as pool:
        bands = pool.map(lambda equity: equity_bands(equity, simulated.shown), simulated.equity.values())
    return VaultResult(
        len(tables["policy"]),
        setup.steps,
        dict(zip(setup.symbols, simulated.mix_weights.tolist(), strict=True)),
        {name: estimates(table, ruin) for name, table in tables.items()},
        {name: differences(tables["policy"], tables[name], ruin) for name in ("hold", "mix")},
        dict(zip(simulated.equity, bands, strict=True)),
        edges,
        {name: np.histogram(table[:, DRAWDOWN], edges)[0] for name, table in tables.items()},
    )
