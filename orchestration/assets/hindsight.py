"""`risk.regret` and `risk.parity`: what moves brought once their days have passed, and whether keeper and backtest were
one yesterday."""

import json
from datetime import timedelta
from typing import Any

import dagster as dg

from models.contracts.tables import RISK_PARITY, RISK_REGRET
from orchestration import keys
from orchestration.parity import of_day, unwritten
from orchestration.regret import due
from orchestration.resources.workspace import Workspace


@dg.asset(key=keys.REGRET, deps=[keys.DECISIONS], group_name=keys.KEEPER, kinds={"postgres", "python"})
def regret(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult[Any]:
    """Return and risk of each move over 1 and 7 days beside the vault that did not move, and what was expected.

    Grain: one row a move and horizon, written once its days have passed.
    """
    rows, waiting = due(workspace, context.run.run_id)
    for each in waiting:
        context.log.warning(f"not scored yet: {each}")
    added = workspace.warehouse.append_table(RISK_REGRET, rows)
    return dg.MaterializeResult(metadata={"dagster/row_count": added, "waiting": len(waiting)})


@dg.asset(key=keys.PARITY, deps=[keys.DECISIONS], group_name=keys.KEEPER, kinds={"postgres", "python"})
def parity(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult[Any]:
    """Yesterday's ticks asked again by the backtest's rules, and every difference.

    Grain: one row a vault and market day.
    """
    yesterday = (workspace.now() - timedelta(days=1)).date()
    asked = [vault.id for vault in workspace.vaults() if unwritten(workspace, vault.id, yesterday)]
    found = [of_day(workspace, vault_id, yesterday, context.run.run_id) for vault_id in asked]
    workspace.warehouse.append_table(
        RISK_PARITY, [{**row, "differences": json.dumps(row["differences"])} for row in found]
    )
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(found),
            "ticks": sum(row["ticks"] for row in found),
            "differences": dg.MetadataValue.json([each for row in found for each in row["differences"]]),
        }
    )
