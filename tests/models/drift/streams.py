"""Synthetic hours: clustered volatility that volume and peers share, with fat tails. Seeded, no real data."""

from __future__ import annotations

import numpy as np
import pandas as pd

from models.drift.volatility import HourlyStream

START = pd.Timestamp("2020-01-01", tz="UTC")


def market(days: int, seed: int = 0, peers: int = 3) -> HourlyStream:
    """One coin of a market whose log volatility wanders (days) around a common level; volume goes with it."""
    rng = np.random.default_rng(seed)
    n = days * 24
    wander = np.zeros(n)
    steps = rng.normal(0, 0.035, n)
    for t in range(1, n):
        wander[t] = 0.993 * wander[t - 1] + steps[t]
    times = pd.date_range(START, periods=n, freq="1h")
    level = 0.005 * np.exp(wander + 0.3 * np.sin(2 * np.pi * times.hour.to_numpy() / 24))

    def returns() -> np.ndarray:
        return level * rng.standard_t(4, n) / np.sqrt(2.0)

    volume = 100 * (level / 0.005) * rng.lognormal(0, 0.4, n)
    return HourlyStream(times, returns(), volume, np.column_stack([returns() for _ in range(peers)]))
