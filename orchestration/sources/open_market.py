"""The market that the settings name, opened: the one place that knows all three."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime

from models.contracts.market import DataMode
from orchestration.settings import Settings, SettingsError
from orchestration.sources.budget import StateStore
from orchestration.sources.interface import Market
from orchestration.sources.live import LiveMarket
from orchestration.sources.replay import ReplayMarket
from orchestration.sources.simulated import SimulatedMarket
from orchestration.universe import Universe, load_universe


def open_market(settings: Settings, state: StateStore | None = None, universe: Universe | None = None) -> Market:
    """The market of `settings.market`; the universe is read from `settings.universe_path` unless given.

    `state` keeps quotas and tripped breakers of live providers across restarts (the warehouse does); the other
    markets need none. Raises SettingsError without it in live mode, and the errors of the market itself.
    """
    known = universe if universe is not None else load_universe(settings.universe_path)
    choice = settings.market
    if choice.mode is DataMode.SIMULATED:
        return SimulatedMarket(known, settings.seed)
    if choice.mode is DataMode.REPLAY and choice.directory is not None:
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)  # one table a day is read
        return ReplayMarket(choice.directory, known, choice.until, today)
    if state is None:
        raise SettingsError("BALLAST_MARKET: the live market needs a database that keeps the providers' quotas")
    return LiveMarket(
        known.series_of(DataMode.LIVE),
        settings.secrets,
        settings.provider_urls,
        state,
        clock=lambda: datetime.now(UTC),
        sleep=time.sleep,
        rng=random.Random(),
        history_days=known.live.history_days,
    )
