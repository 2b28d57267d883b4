"""The way from a vault of the universe to its chain: a connected keeper, and what it needs to know of the market.

Here: addresses, keys and rows. Whether and how to act is `keeper`, what to want is `models.allocation`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import dagster as dg
from pydantic import Field

from keeper.decision import TargetInput
from keeper.devnet.admin import DevnetConnection, connect
from keeper.keeper import Keeper
from keeper.store import KeeperStore
from models.contracts.market import DataMode
from models.contracts.tables import OPS_SERIES, RISK_TARGET_ALLOCATIONS
from models.contracts.vault import PolicyState, Target, VaultConfig
from orchestration.resources.features import FEATURES
from orchestration.resources.warehouse import Warehouse
from orchestration.settings import Settings

DEVNET = "devnet"


@dataclass(frozen=True)
class KeptVault:
    """A vault whose chain answered."""

    connection: DevnetConnection
    keeper: Keeper


class VaultChain(dg.ConfigurableResource[None]):
    """The devnet of this workspace, and the development key that signs on it."""

    rpc_url: str = Field(description="Address of the devnet's RPC.")
    key_path: str = Field(description="File of the development key; made on first use, readable by its owner only.")
    phase: str = Field(description="shadow: everything but the signature; devnet: the full path.")

    @classmethod
    def of(cls, settings: Settings) -> VaultChain:
        return cls(
            rpc_url=f"http://127.0.0.1:{settings.devnet_port}",
            key_path=str(settings.workspace / "keys" / "devnet.seed"),
            phase=settings.keeper_phase,
        )

    @contextmanager
    def kept(self, vault: VaultConfig, warehouse: Warehouse, run_id: str) -> Iterator[KeptVault]:
        """Connect to the chain of `vault`, deploying it on a fresh devnet. Raises DevnetUnavailable."""
        connection = connect(vault, self.rpc_url, Path(self.key_path), self.phase, run_id)
        try:
            store = KeeperStore(warehouse.engine)
            yield KeptVault(connection, Keeper(connection.config, store, connection.gateway, connection.signer))
        finally:
            connection.close()


def prices(vault: VaultConfig, warehouse: Warehouse, now: datetime) -> dict[str, Decimal]:
    """Dollars a whole token of each leg, from the newest close that features believe; a leg without one is left out.

    So is a leg whose close is older than its series may be: it would set the bounds of a swap. A token of the quote
    currency is worth 1 / rate. The stable leg is a dollar by definition and has no series.
    """
    series = {asset.series for asset in vault.assets if asset.series is not None}
    rows = warehouse.rows(
        f"""
        select distinct on (f.series) f.series, f.close::text as close, f.as_of, s.max_age_s
        from {FEATURES} as f join {OPS_SERIES} as s on s.id = f.series and s.kind = f.kind and s.scored
        where f.series = any(:series) and f.close > 0 and f.as_of <= :now
        order by f.series, f.as_of desc
        """,
        {"series": sorted(series), "now": now},
    )
    rows = [row for row in rows if row["as_of"] + timedelta(seconds=row["max_age_s"]) >= now]
    closes = {str(row["series"]): Decimal(row["close"]) for row in rows}
    found: dict[str, Decimal] = {}
    for asset in vault.assets:
        if asset.series in closes:
            found[asset.symbol] = 1 / closes[asset.series] if asset.invert else closes[asset.series]
    return found


def newest_target(vault: VaultConfig, warehouse: Warehouse, known_prices: Mapping[str, Decimal]) -> TargetInput | None:
    """Newest row of `risk.target_allocations` for a vault as the keeper reads it, None if there is none."""
    rows = warehouse.rows(
        "select id, as_of, valid_until, state, weights, score, model_version, policy_version, "
        f"reasons, data_mode, share_imputed, degraded from {RISK_TARGET_ALLOCATIONS} where vault_id = :vault "
        "order by as_of desc, id desc limit 1",
        {"vault": vault.id},
    )
    if not rows:
        return None
    row = rows[0]
    target = Target(
        vault_id=vault.id,
        as_of=row["as_of"],
        state=PolicyState(row["state"]),
        weights={symbol: Decimal(str(weight)) for symbol, weight in row["weights"].items()},
        reasons=tuple(row["reasons"]),
        score=row["score"],
        policy_version=row["policy_version"],
        usable=not row["degraded"],
    )
    return TargetInput(
        target=target,
        valid_until=row["valid_until"],
        data_mode=DataMode(row["data_mode"]),
        share_imputed=row["share_imputed"],
        prices=known_prices,
        model_version=row["model_version"],
        target_id=row["id"],
    )
