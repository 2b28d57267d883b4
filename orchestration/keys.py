"""Asset keys and group names. The key of an asset is the address of its table: `raw.candles` is `["raw", "candles"]`.

Here: names only. What an asset does is in `orchestration.assets`, dbt models take theirs from the same rule.
"""

from __future__ import annotations

import dagster as dg

from models.contracts import tables
from models.contracts.market import Dataset


def key_of(table: str) -> dg.AssetKey:
    """Key of a schema-qualified table."""
    return dg.AssetKey(table.split("."))


FX_RATES = key_of(tables.RAW_FX_RATES)
CANDLES = key_of(tables.RAW_CANDLES)
FUNDING = key_of(tables.RAW_FUNDING)
OPEN_INTEREST = key_of(tables.RAW_OPEN_INTEREST)
VAULT_SNAPSHOTS = key_of(tables.RAW_VAULT_SNAPSHOTS)
QUARANTINE = key_of(tables.RAW_QUARANTINE)

GAPS = key_of(tables.OPS_GAPS)
FRESHNESS = key_of(tables.OPS_FRESHNESS)

VOLATILITY_FEATURES = dg.AssetKey(["features", "volatility"])
BAR_RETURNS = dg.AssetKey(["features", "bar_returns"])

WALK_FORWARD = key_of(tables.ML_WALK_FORWARD)
PROMOTIONS = key_of(tables.ML_PROMOTIONS)
DRIFT_CALIBRATIONS = key_of(tables.ML_DRIFT_CALIBRATIONS)
DRIFT_ALARMS = key_of(tables.ML_DRIFT_ALARMS)

SCORES = key_of(tables.RISK_SCORES)
TARGETS = key_of(tables.RISK_TARGET_ALLOCATIONS)
REGIMES = key_of(tables.RISK_REGIMES)
RUNS = key_of(tables.RISK_RUNS)
VAR = key_of(tables.RISK_VAR)
CORRELATION = key_of(tables.RISK_CORRELATION)
STRESS = key_of(tables.RISK_STRESS)

DECISIONS = key_of(tables.KEEPER_DECISIONS)
REGRET = key_of(tables.RISK_REGRET)
PARITY = key_of(tables.RISK_PARITY)

# Datasets that a market source delivers; snapshots of a vault come from its chain instead.
INGESTED: tuple[Dataset, ...] = (Dataset.FX_RATES, Dataset.CANDLES, Dataset.FUNDING, Dataset.OPEN_INTEREST)
INGEST_KEYS = tuple(key_of(f"raw.{dataset.value}") for dataset in INGESTED)

# Groups are the layers of the graph, in the order in which data passes through them.
RAW, QUALITY, TRAINING, SCORING, KEEPER = "raw", "quality", "training", "scoring", "keeper"
