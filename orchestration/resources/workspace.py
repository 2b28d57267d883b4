"""The workspace of a market as a Dagster resource: settings, warehouse, clock. Everything an asset body starts from."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cached_property

import dagster as dg
from pydantic import Field, PrivateAttr

from models.contracts.clock import MarketClock
from models.contracts.market import Calendar, DataMode, Dataset, SeriesKind, SeriesSpec
from models.contracts.running import Runner
from models.contracts.tables import OPS_SERIES
from models.contracts.vault import VaultConfig
from orchestration.resources.warehouse import Warehouse
from orchestration.settings import Settings, as_environment, current_settings
from orchestration.sources.interface import Market
from orchestration.universe import Universe, load_universe
from orchestration.workers import cluster_for, runner_for

WAREHOUSE_URL_VARIABLE = "BALLAST_WAREHOUSE_URL"
_UNSHOWN = ("DATABASE_URL",)  # resource configuration is shown in the UI; this one may hold a password


class Workspace(dg.ConfigurableResource[None]):
    """One market's settings, database and source. Opened on first use, closed with the run."""

    variables: dict[str, str] = Field(
        description="Settings of this market by variable name, on top of the environment of the process."
    )
    warehouse_url: str = Field(description="URL of the market's database; from the environment, never shown.")

    _warehouse: Warehouse | None = PrivateAttr(default=None)
    _market: Market | None = PrivateAttr(default=None)

    @classmethod
    def of(cls, settings: Settings, warehouse_url: str | None = None) -> Workspace:
        """The resource for these settings. Without a URL it is read from the environment when a run starts."""
        shown = {name: value for name, value in as_environment(settings).items() if name not in _UNSHOWN}
        return cls(variables=shown, warehouse_url=warehouse_url or dg.EnvVar(WAREHOUSE_URL_VARIABLE))

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        self.close()

    def close(self) -> None:
        if self._warehouse is not None:
            self._warehouse.close()
            self._warehouse = None

    @cached_property
    def settings(self) -> Settings:
        return current_settings(self.variables)

    @property
    def warehouse(self) -> Warehouse:
        if self._warehouse is None:
            self._warehouse = Warehouse.connect(self.warehouse_url, application="ballast-dagster")
        return self._warehouse

    @property
    def market(self) -> Market:
        """The source of market data. A replay reads its folder here, which takes seconds."""
        if self._market is None:
            # All providers and the simulator: half the seconds that a process takes to start, for those that ask one.
            from orchestration.sources.open_market import open_market

            self._market = open_market(self.settings, self.warehouse)
        return self._market

    @cached_property
    def universe(self) -> Universe:
        return load_universe(self.settings.universe_path)

    @property
    def mode(self) -> DataMode:
        return self.settings.market.mode

    def runner(self, rows: int) -> Runner:
        """Where tasks on a panel of so many rows are run."""
        return runner_for(rows, self.settings.threads, self.settings.ray_address)

    def cluster(self, work: int) -> Runner | None:
        """The cluster, if one is named and a run of so much work is worth it."""
        return cluster_for(work, self.settings.ray_address)

    def clock(self) -> MarketClock:
        return self.warehouse.clock()

    def now(self) -> datetime:
        """Market time: what every freshness, age and validity is measured in."""
        return self.clock().now(datetime.now(UTC))

    def series(self) -> tuple[SeriesSpec, ...]:
        """The catalogue of this market as the warehouse holds it (providers are the market's own business)."""
        rows = self.warehouse.rows(
            "select id, dataset, kind, calendar, interval, publication_lag_s, max_age_s, base, quote, source, scored "
            f"from {OPS_SERIES} order by id, interval, dataset"
        )
        return tuple(
            SeriesSpec(
                **row
                | {
                    "dataset": Dataset(row["dataset"]),
                    "kind": SeriesKind(row["kind"]),
                    "calendar": Calendar(row["calendar"]),
                }
            )
            for row in rows
        )

    def vaults(self) -> tuple[VaultConfig, ...]:
        """Vaults of the universe that this market can price."""
        return self.universe.vaults_for({spec.id for spec in self.series()}).vaults
