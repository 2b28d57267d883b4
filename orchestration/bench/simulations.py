"""How long a simulation takes without the API around it: reading, planning, computing, by the functions it calls.

Hourly steps need hourly closes of every leg, and the vault of the universe has legs with one a day: the coins of it
become a vault of the bench, in the scratch database that nobody else reads any more.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool

from models.backtest.plain import as_plain
from models.backtest.request import Terms
from models.contracts.runs import RunKind
from models.contracts.tables import OPS_VAULTS
from models.contracts.vault import VaultConfig
from models.runs.kinds import KINDS
from models.runs.plan import RequestError, unwatched
from models.runs.reading import StoredMarket
from orchestration.bench.document import Unmeasured
from orchestration.bench.figures import figure, series

PATHS, DAYS = 10_000, 30  # of 24 hours: 720 steps
VAULT = "bench_coins"
_HOUR_S = 3600


def measure(database: str, repeats: int) -> dict[str, Any]:
    """Seconds of runs with seeds of their own, the first one apart, and the body that was asked. Raises Unmeasured."""
    engine = create_engine(database, poolclass=NullPool)

    def ask(statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        with engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(statement), dict(parameters)).mappings()]

    data = StoredMarket(ask)
    legs = add_vault(engine, data.vaults())
    body = {"vault_id": VAULT, "paths": PATHS, "days": DAYS, "step": "hour"}
    kind = KINDS[RunKind.SIMULATION]
    spent = []
    try:
        for seed in range(repeats + 1):
            began = time.perf_counter()
            kind.plan({**body, "seed": seed}, data).compute(unwatched)
            spent.append(time.perf_counter() - began)
    except RequestError as error:
        raise Unmeasured(f"the simulation cannot be asked for: {error}") from error
    first, *rest = spent
    return {
        "body": body,
        "legs": figure(legs, "legs"),
        "first_in_process": figure(first, "s"),
        "in_process": {**series(rest, "s"), "max": figure(max(rest), "s")},
    }


def add_vault(engine: Engine, vaults: Mapping[str, tuple[VaultConfig, Mapping[str, Terms]]]) -> int:
    """Store the coins and the stable leg of the first vault as one of the bench; how many legs it has. Raises
    Unmeasured when there are none."""
    for vault, terms in vaults.values():
        legs = [a for a in vault.assets if a.series is None or terms[a.series].interval_s == _HOUR_S]
        if len(legs) > 1:
            break
    else:
        raise Unmeasured("no vault has a leg with hourly closes: there is nothing to simulate")
    share = Decimal(1) / len(legs)
    shares = [*[share] * (len(legs) - 1), 1 - share * (len(legs) - 1)]  # exactly one in all
    assets = tuple(replace(leg, base_weight=weight) for leg, weight in zip(legs, shares, strict=True))
    config = json.dumps(as_plain(replace(vault, id=VAULT, assets=assets)))
    statement = text(
        f"insert into {OPS_VAULTS} (id, config, is_kept) values (:id, cast(:config as jsonb), true) "
        "on conflict (id) do update set config = excluded.config, is_kept = true"
    )
    with engine.begin() as connection:
        connection.execute(statement, {"id": VAULT, "config": config})
    return len(legs)
