"""Check of `risk.parity`: the keeper decided as the backtest does."""

import dagster as dg

from models.contracts.tables import RISK_PARITY
from orchestration import keys
from orchestration.resources.workspace import Workspace

_OFFENDERS = 5


@dg.asset_check(asset=keys.PARITY, name="as_backtested")
def as_backtested(context: dg.AssetCheckExecutionContext, workspace: Workspace) -> dg.AssetCheckResult:
    """No difference on the newest day of any vault. A guard of the keeper's own is a warning, any other an error."""
    rows = workspace.warehouse.rows(
        f"select distinct on (vault_id) vault_id, day, ticks, guards, others, differences from {RISK_PARITY} "
        "order by vault_id, day desc"
    )
    found = [f"{row['vault_id']}: {each}" for row in rows for each in row["differences"]]
    guards, others = (sum(row[name] for row in rows) for name in ("guards", "others"))
    return dg.AssetCheckResult(
        passed=not found,
        severity=dg.AssetCheckSeverity.ERROR if others else dg.AssetCheckSeverity.WARN,
        metadata={
            "ticks": sum(row["ticks"] for row in rows), "guards": guards, "others": others,
            "offenders": "\n".join(found[:_OFFENDERS]),
        },
    )  # fmt: skip


CHECKS = (as_backtested,)
