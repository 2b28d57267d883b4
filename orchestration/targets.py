"""Targets of the vaults at their newest scores, as rows. Called by the asset of each tick and by a rollback."""

from __future__ import annotations

from typing import Any

from models.allocation.policy import propose_target
from models.contracts.horizons import PROTOCOLS
from models.contracts.market import SeriesKind
from models.contracts.tables import RISK_TARGET_ALLOCATIONS
from orchestration.resources.scores import last_wanted, latest_score, promotion_of
from orchestration.resources.workspace import Workspace


def issue_targets(workspace: Workspace, run_id: str) -> tuple[list[dict[str, Any]], int]:
    """Store what the policy wants of each vault now; the rows, and how many of them are new.

    What a policy remembers is the target of an older moment, so that issuing a moment again starts from
    where the first time started.
    """
    now, rows, vaults = workspace.now(), [], workspace.vaults()
    workspace.warehouse.upsert_vaults(vaults)  # what the API knows of them
    for vault in vaults:
        horizon = PROTOCOLS[SeriesKind.VAULT].horizons[0]
        score, score_id = latest_score(workspace.warehouse, f"vault:{vault.id}", horizon)
        before = score.as_of if score is not None else now
        state, weights = last_wanted(workspace.warehouse, vault.id, before)
        target = propose_target(vault, score, state, now, weights)
        rows.append(
            {
                "vault_id": vault.id,
                "as_of": target.as_of,
                "issued_at": now,
                "valid_until": score.valid_until if score is not None else now,
                "state": target.state.value,
                "weights": {symbol: str(weight) for symbol, weight in target.weights.items()},
                "score": target.score,
                "score_id": score_id,
                "promotion_id": promotion_of(workspace.warehouse, score_id),
                "model_version": score.model_version if score is not None else "none",
                "policy_version": target.policy_version,
                "reasons": [str(reason) for reason in target.reasons],
                "data_mode": workspace.mode.value,
                "share_imputed": score.share_imputed if score is not None else 1.0,
                "degraded": not target.usable,
                "run_id": run_id,
            }
        )
    return rows, workspace.warehouse.append_table(RISK_TARGET_ALLOCATIONS, rows)
