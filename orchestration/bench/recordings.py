"""A folder of recorded coins of any number and length, made by the simulator: what a retraining is measured on."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from models.stress.market_simulator import COIN_TRAITS, MarketSimulator
from models.stress.script import GENESIS


def write_coins(folder: Path, seed: int, series: int, hours: int) -> None:
    """Hourly candles of `series` coins over `hours` hours, in the layout of a replay; outages are left out."""
    target = folder / "candles_1h"
    target.mkdir(parents=True)
    for number in range(series):
        market, coin = divmod(number, len(COIN_TRAITS))  # markets one after the other, three coins each
        if coin == 0:
            simulator = MarketSimulator(seed + market)
        bars = simulator.hours(list(COIN_TRAITS)[coin], 0, hours)
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
