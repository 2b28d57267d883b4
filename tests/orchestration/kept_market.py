"""A vault that is kept day after day: features, scores by a registered model, targets, ticks on a devnet in process."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from keeper.keeper import TickOutcome
from models.contracts.clock import MarketClock
from models.contracts.market import DataMode, SeriesKind
from models.contracts.vault import VaultConfig
from orchestration.assets.promotion import decide_and_write
from orchestration.issuing import issue
from orchestration.panels import training_rows
from orchestration.resources.model_registry import ModelRegistry
from orchestration.resources.vault import newest_target, prices
from orchestration.resources.workspace import Workspace
from orchestration.settings import PROJECT_ROOT, load_settings
from orchestration.targets import issue_targets
from tests.keeper.world import World, build
from tests.orchestration.planted import DAYS, add_features, at, coins, evaluated, set_up

MINUTES = timedelta(minutes=1)
_LOG = logging.getLogger(__name__)


def restless(database_url: str, folder: Path) -> Workspace:
    """A workspace whose vault trades inside 2 %, so that it moves every few days."""
    universe = (PROJECT_ROOT / "orchestration" / "universe.yaml").read_text(encoding="utf-8")
    assert 'dead_zone:          {value: "0.10"' in universe
    path = folder / "universe.yaml"
    path.write_text(universe.replace('dead_zone:          {value: "0.10"', 'dead_zone:          {value: "0.02"'))
    made = Workspace.of(load_settings({"BALLAST_STATE": str(folder), "BALLAST_UNIVERSE": str(path)}), database_url)
    made.warehouse.set_market("simulated", DataMode.SIMULATED, made.settings.seed, MarketClock(at(0), None, 1.0))
    return made


@dataclass
class KeptMarket:
    """`day` counts from the first that was kept."""

    workspace: Workspace
    registry: ModelRegistry
    world: World
    vault: VaultConfig
    rows: pd.DataFrame
    day: int = 0

    def tick(self, minutes: int = 30) -> TickOutcome:
        """One tick, so long after midnight."""
        now = self.clock(minutes)
        known = prices(self.vault, self.workspace.warehouse, now)
        if known:
            self.world.connection.admin.set_prices(known)
        return self.world.keeper().tick(newest_target(self.vault, self.workspace.warehouse, known), now)

    def score(self) -> None:
        """What an hourly refresh does after the features, a quarter past midnight."""
        self.clock(15)
        issue(self.workspace, self.registry, f"run {self.day}", _LOG)
        issue_targets(self.workspace, f"run {self.day}")

    def next_day(self) -> None:
        """A day passes: its bars, its features."""
        self.day += 1
        self.clock(0)
        add_features(self.workspace, self.rows[self.rows["as_of"] == pd.Timestamp(at(self.day))])
        add_bars(self.workspace, at(self.day))

    def clock(self, minutes: int) -> datetime:
        now = at(self.day) + minutes * MINUTES
        self.workspace.warehouse.set_clock(MarketClock(now, None, 1.0))
        return now


def kept_market(workspace: Workspace, registry: ModelRegistry, folder: Path, days: int) -> KeptMarket:
    """A market with a champion for its vault and `days` days to come; nothing is scored or kept yet."""
    rows = coins(at(days), DAYS + days)
    returns = rows.groupby("series")["ret"].cumsum()
    rows["close"] = rows["series"].map({"BTC": 50_000.0, "ETH": 2_000.0}) * np.exp(0.3 * returns)
    workspace.warehouse.set_clock(MarketClock(at(0), None, 1.0))
    set_up(workspace, rows[rows["as_of"] <= pd.Timestamp(at(0))])
    add_bars(workspace, at(0))
    (vault,) = workspace.vaults()
    workspace.warehouse.upsert_vaults([vault])
    scored = [spec for spec in workspace.series() if spec.scored]
    training = training_rows(workspace.warehouse, SeriesKind.VAULT, scored, [vault])
    work, forecasts, decision = evaluated(workspace, training, "d1", None, SeriesKind.VAULT)
    decide_and_write(workspace, registry, work, forecasts, decision, "run")
    return KeptMarket(workspace, registry, build(workspace.warehouse.engine, folder, vault=vault), vault, rows)


def add_bars(workspace: Workspace, until: datetime) -> None:
    """Two bars of each coin in the day that ends at `until`, the last of them known twenty minutes late."""
    workspace.warehouse.execute(
        "insert into raw.candles (series, interval, ts, open, high, low, close, volume_base, source, provider, "
        "data_mode, available_at, digest) select series, '1h', cast(:until as timestamptz) - n * interval '1 hour', "
        "1, 2, 1, 2, 5, 's', 'p', 'simulated', cast(:until as timestamptz) + (2 - n) * interval '20 minutes', "
        "gen_random_uuid() from unnest(array['BTC', 'ETH']) as series, generate_series(1, 2) as n",
        {"until": until},
    )
