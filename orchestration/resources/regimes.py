"""Regimes as rows and back: the mapping between `models.regimes` and `risk.regimes`, `risk.regime_chains`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from models.contracts.market import DataMode
from models.contracts.tables import RISK_REGIME_CHAINS, RISK_REGIMES
from models.regimes.chain import METHOD_VERSION, Chain
from models.regimes.labels import VERSIONS, FittedChain
from models.regimes.states import Method
from models.volatility.panel import aware
from orchestration.resources.warehouse import Warehouse


def newest_labelled(warehouse: Warehouse, series: Sequence[str]) -> dict[str, datetime]:
    """Newest origin of each series that both methods of this software have labelled, or said why they cannot."""
    rows = warehouse.rows(
        f"select series, method, max(as_of) as as_of from {RISK_REGIMES} where series = any(:series) and ("
        + " or ".join(f"(method = '{m.value}' and model_version like '{v}%')" for m, v in VERSIONS.items())
        + ") group by series, method",
        {"series": list(series)},
    )
    found: dict[str, list[datetime]] = {}
    for row in rows:
        found.setdefault(row["series"], []).append(row["as_of"])
    return {name: min(moments) for name, moments in found.items() if len(moments) == len(VERSIONS)}


def known_chains(warehouse: Warehouse, series: Sequence[str]) -> dict[str, list[FittedChain]]:
    """Fits of this software's method by series, oldest first."""
    rows = warehouse.rows(
        "select distinct on (series, fitted_at) series, fitted_at, model_version, parameters "
        f"from {RISK_REGIME_CHAINS} where series = any(:series) and model_version like :method "
        "order by series, fitted_at, recorded_at",
        {"series": list(series), "method": f"{METHOD_VERSION}-%"},
    )
    found: dict[str, list[FittedChain]] = {}
    for row in rows:
        at = np.datetime64(row["fitted_at"].replace(tzinfo=None), "us")
        found.setdefault(row["series"], []).append(
            FittedChain(at, row["model_version"], Chain.of_dict(row["parameters"]))
        )
    return found


def store_chains(warehouse: Warehouse, chains: Mapping[str, Sequence[FittedChain]], mode: DataMode, run_id: str) -> int:
    """Write fits; one that is there already is skipped. Returns rows added."""
    rows: list[dict[str, Any]] = [
        {
            "series": series, "fitted_at": aware(fitted.fitted_at).to_pydatetime(), "model_version": fitted.version,
            "parameters": fitted.chain.as_dict(), "data_mode": mode.value, "run_id": run_id,
        }
        for series, several in chains.items()
        for fitted in several
    ]  # fmt: skip
    return warehouse.append_table(RISK_REGIME_CHAINS, rows)


def store_regimes(warehouse: Warehouse, rows: pd.DataFrame, mode: DataMode, run_id: str) -> int:
    """Write rows of `models.regimes.labels`; one that this version has labelled is skipped. Returns rows added."""
    counts = {name: rows[name].astype("Int64") for name in ("required", "received")}
    return warehouse.append_table(RISK_REGIMES, rows.assign(**counts, data_mode=mode.value, run_id=run_id))


def labels(warehouse: Warehouse, series: Sequence[str], method: Method = Method.HMM) -> pd.DataFrame:
    """`series`, `as_of`, `label` as they were first said, without origins that have none: what
    `models.validation.by_regime` asks for."""
    return warehouse.read(
        f"select distinct on (series, as_of) series, as_of, label from {RISK_REGIMES} where series = any(:series) "
        "and method = :method and model_version like :version and label is not null "
        "order by series, as_of, recorded_at",
        {"series": list(series), "method": method.value, "version": f"{VERSIONS[method]}%"},
    )
