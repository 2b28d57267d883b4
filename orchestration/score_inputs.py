"""`risk.score_inputs`: what each score of a vault was made of, so that it can be made again and a revision shows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

import pandas as pd

from models.contracts.tables import RISK_SCORE_INPUTS, RISK_SCORES
from models.contracts.vault import VaultConfig
from orchestration.provenance import data_hash
from orchestration.resources import features
from orchestration.resources.workspace import Workspace


def record_inputs(workspace: Workspace, rows: Mapping[str, pd.DataFrame], now: datetime, run_id: str) -> int:
    """Note what the scores that this run issued at `now` rest on; returns how many were noted.

    `rows`: what the models were given, by subject (`vault:<id>`). Called in the turn in which they were read.
    """
    house = workspace.warehouse
    vaults = {f"vault:{vault.id}": vault for vault in workspace.vaults()}
    legs = sorted({series for vault in vaults.values() for series in series_of(vault)})
    newest = features.newest(house, legs, now)
    issued = house.rows(
        f"select id, subject from {RISK_SCORES} "
        "where subject = any(:subjects) and issued_at = :now and run_id = :run_id order by id",
        {"subjects": sorted(rows.keys() & vaults.keys()), "now": now, "run_id": run_id},
    )
    noted = []
    for score in issued:
        frame = rows[score["subject"]]
        own = {series: newest[series].isoformat() for series in series_of(vaults[score["subject"]])}
        noted.append(
            {
                "score_id": score["id"], "legs": json.dumps(own), "rows": len(frame),
                "first_as_of": frame["as_of"].min().to_pydatetime(), "data_hash": data_hash(frame), "run_id": run_id,
            }
        )  # fmt: skip
    return house.append_table(RISK_SCORE_INPUTS, noted)


def series_of(vault: VaultConfig) -> list[str]:
    """Series that the score of a vault looks at: those of its risky legs."""
    return sorted({asset.series for asset in vault.assets if asset.series is not None and not asset.stable})
