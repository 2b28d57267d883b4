"""A market in memory as simulations read it: two coins by the hour, or a coin and a rate of the day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal as D

import numpy as np

from models.backtest.market import Closes
from models.backtest.request import Terms
from models.contracts.market import DataMode
from models.contracts.vault import VaultAsset, VaultConfig, VaultLimits
from tests.models.backtest.worlds import THREE_LEGS

START = datetime(2021, 1, 1, tzinfo=UTC)
HOUR_US = 3_600_000_000
MIXED = VaultConfig(
    "naira",
    "devnet",
    None,
    (
        VaultAsset("USDC", None, D("0.3"), stable=True),
        VaultAsset("cNGN", "USDNGN", D("0.3"), invert=True),
        VaultAsset("BTC", "BTC", D("0.4")),
    ),
    VaultLimits(),
    THREE_LEGS.policy,
)
TERMS = {"BTC": Terms(7_200, 3_600), "ETH": Terms(7_200, 3_600), "USDNGN": Terms(432_000, 86_400)}


class Market:
    """`days` of closes whose volatility comes and goes."""

    def __init__(self, days: int = 420, mode: DataMode = DataMode.LIVE) -> None:
        rng, hours = np.random.default_rng(2), days * 24
        times = int(START.timestamp()) * 1_000_000 + np.arange(hours + 1) * HOUR_US
        sigma = 0.006 * np.exp(0.5 * np.sin(np.arange(hours + 1) / 300.0))
        self._mode = mode
        self.known = {
            coin: Closes(times, 100 * np.exp(np.cumsum(sigma * rng.standard_normal(hours + 1))))
            for coin in ("BTC", "ETH")
        }
        rate = 1500 * np.exp(np.cumsum(rng.normal(0, 0.004, days + 1)))
        self.known["USDNGN"] = Closes(times[::24], rate)

    def vaults(self) -> Mapping[str, tuple[VaultConfig, Mapping[str, Terms]]]:
        return {
            "mixed": (THREE_LEGS, {name: TERMS[name] for name in ("BTC", "ETH")}),
            "naira": (MIXED, {name: TERMS[name] for name in ("BTC", "USDNGN")}),
        }

    def closes(self, series: Sequence[str]) -> Mapping[str, Closes]:
        return {name: self.known[name] for name in series}

    def mode(self) -> DataMode:
        return self._mode
