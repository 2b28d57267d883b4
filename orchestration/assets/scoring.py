"""`risk.scores` and `risk.target_allocations`: the newest word on each series and vault, and what it asks of a vault.

Who may speak is what the promotion ledger says: an alias that was set by hand does not serve. Rows are append-only; a
score that was issued for a moment is issued again only by another entry of the ledger.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import pandas as pd

from models.contracts.score import Score
from orchestration import keys
from orchestration.assets.quality import markdown
from orchestration.issuing import issue
from orchestration.resources.model_registry import ModelRegistry
from orchestration.resources.workspace import Workspace
from orchestration.targets import issue_targets

_SHOWN = 60


@dg.asset(
    key=keys.SCORES,
    deps=[keys.VOLATILITY_FEATURES, keys.PROMOTIONS],
    group_name=keys.SCORING,
    kinds={"postgres", "python", "mlflow"},
)
def scores(
    context: dg.AssetExecutionContext, workspace: Workspace, registry: ModelRegistry
) -> dg.MaterializeResult[Any]:
    """VolatilityScore 0-100 of each scored series and vault at its own newest moment, or the reason why there is none.

    Grain: one row a subject, horizon, moment, model version, status and entry of the promotion ledger.
    """
    issued = issue(workspace, registry, context.run_id, context.log)
    by_status = pd.Series([str(score.status) for score in issued.scores], dtype=object).value_counts()
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": issued.added,
            "scored": len(issued.scores),
            "in_shadow": issued.shadows,
            **{f"status_{status}": int(count) for status, count in by_status.items()},
            "scores": dg.MetadataValue.md(markdown(_table(issued.scores[:_SHOWN]))),
        }
    )


@dg.asset(
    key=keys.TARGETS,
    deps=[keys.SCORES],
    group_name=keys.SCORING,
    kinds={"postgres", "python"},
)
def target_allocations(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult[Any]:
    """What the policy wants of each vault at its newest score: stable above 80, back below 70, and why.

    Grain: one row a vault, policy version, moment of the score and entry of the promotion ledger behind it.
    """
    rows, added = issue_targets(workspace, context.run_id)
    shown = [{k: row[k] for k in ("vault_id", "as_of", "state", "weights", "score", "reasons")} for row in rows]
    return dg.MaterializeResult(
        metadata={"dagster/row_count": added, "targets": dg.MetadataValue.json([_texts(row) for row in shown])}
    )


def _table(issued: Sequence[Score]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "subject": s.subject, "days": s.horizon_days, "as_of": f"{s.as_of:%Y-%m-%d %H:%M}",
                "score": "" if s.score is None else f"{s.score:.1f}",
                "sigma_ann": "" if s.sigma_ann is None else f"{s.sigma_ann:.3f}", "status": str(s.status),
                "why": "; ".join(s.reasons), "model": f"{s.model_name} {s.model_version}",
            }
            for s in issued
        ]
    )  # fmt: skip


def _texts(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value if isinstance(value, (list, dict)) or value is None else str(value) for name, value in row.items()
    }
