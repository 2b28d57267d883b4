"""A folder of recorded coins of any number and length, made by the simulator: what a retraining is measured on."""

from __future__ import annotations

from itertools import count, product
from pathlib import Path

import pandas as pd

from models.stress.market_simulator import COIN_TRAITS, MarketSimulator
from models.stress.script import GENESIS


def write_coins(folder: Path, seed: int, series: int, hours: int) -> None:
    """Hourly candles of `series` coins over `hours` hours, in the layout of a replay; outages are left out."""
    target = folder / "candles_1h"
    target.mkdir(parents=True)
    made = product(count(seed), COIN_TRAITS)  # markets one after the other, three coins each
    simulator = None
    for number in range(series):
        market, coin = next(made)
        if simulator is None or number % len(COIN_TRAITS) == 0:
            simulator = MarketSimulator(market)
        bars = simulator.hours(coin, 0, hours)
        there = bars.present
        frame = pd.DataFrame(
            {
                "ts": (pd.Timestamp(GENESIS) + pd.to_timedelta(bars.hour[there], unit="h")).strftime(
                    "%Y-%m-%dT%H:%M:%SZ"
                ),
                "open": bars.open[there],
                "high": bars.high[there],
                "low": bars.low[there],
                "close": bars.close[there],
                "volume_base": bars.volume_base[there],
                "volume_quote": bars.volume_quote[there],
                "trades": bars.trades[there],
                "source": "simulator",
            }
        )
        frame.to_csv(
            target / f"COIN{number:03d}.csv.gz", index=False, compression={"method": "gzip", "compresslevel": 1}
        )
