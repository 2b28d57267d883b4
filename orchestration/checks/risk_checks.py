"""Checks of `risk.var` and `risk.correlation`: losses came as often as promised, matrices are matrices."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import numpy as np

from models.contracts.tables import RISK_CORRELATION, RISK_VAR
from models.validation.coverage import kupiec_of_counts
from orchestration import keys
from orchestration.resources.workspace import Workspace

MIN_TESTED = 100  # windows; of fewer even none or three losses beyond a VaR99 are no surprise
MIN_P_VALUE = 0.01  # of a hundred sound figures one is below
_OFFENDERS = 5


@dg.asset_check(asset=keys.VAR, name="covered")
def covered(context: dg.AssetCheckExecutionContext, workspace: Workspace) -> dg.AssetCheckResult:
    """Losses beyond the VaR came as often in the last year as promised (Kupiec), for the newest figure of each subject,
    horizon and method. A warning: of many figures some fail by chance, and a storm looks like this."""
    rows = workspace.warehouse.rows(
        f"""
        select distinct on (subject, horizon_days, method)
            subject, horizon_days, method, tested_windows, exceeded95, exceeded99 from {RISK_VAR}
        where issued_at > (select max(issued_at) from {RISK_VAR}) - interval '7 days'
        order by subject, horizon_days, method, id desc
        """
    )
    judged = [(row, *_p_values(row)) for row in rows if row["tested_windows"] >= MIN_TESTED]
    wrong = sorted((found for found in judged if min(found[1:]) < MIN_P_VALUE), key=lambda found: min(found[1:]))
    return dg.AssetCheckResult(
        passed=not wrong,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "figures": len(rows),
            "judged": len(judged),
            "failed": len(wrong),
            "expected_by_chance": round(MIN_P_VALUE * 2 * len(judged), 1),
            "offenders": "\n".join(_told(*found) for found in wrong[:_OFFENDERS]),
        },
    )


@dg.asset_check(asset=keys.CORRELATION, name="positive_semi_definite", blocking=True)
def positive_semi_definite(context: dg.AssetCheckExecutionContext, workspace: Workspace) -> dg.AssetCheckResult:
    """Newest matrices are symmetric with a unit diagonal, and no weights have a negative variance by them."""
    rows = workspace.warehouse.rows(
        f"""
        select distinct on (scope, method, regime) scope, method, regime, as_of, matrix from {RISK_CORRELATION}
        where matrix is not null order by scope, method, regime, as_of desc, id desc
        """
    )
    lowest = {f"{r['scope']} {r['method']} {r['regime']} {r['as_of']}": _lowest(r["matrix"]) for r in rows}
    wrong = {name: value for name, value in lowest.items() if not value >= 0.0}
    first = [f"{name}: {value:.2g}" for name, value in sorted(wrong.items())[:_OFFENDERS]]
    return dg.AssetCheckResult(
        passed=not wrong,
        metadata={"matrices": len(lowest), "wrong": len(wrong), "offenders": "\n".join(first)},
    )


def _p_values(row: Mapping[str, Any]) -> tuple[float, float]:
    tested = row["tested_windows"]
    return kupiec_of_counts(tested, row["exceeded95"], 0.05), kupiec_of_counts(tested, row["exceeded99"], 0.01)


def _told(row: Mapping[str, Any], p95: float, p99: float) -> str:
    counts = f"{row['exceeded95']} and {row['exceeded99']} of {row['tested_windows']}"
    return f"{row['subject']} {row['horizon_days']} d {row['method']}: {counts} (p {p95:.2g} and {p99:.2g})"


def _lowest(matrix: list[list[float | None]]) -> float:
    """Lowest eigenvalue, NaN of what is no correlation matrix; a pair without a number counts as none."""
    values = np.array([[0.0 if x is None else x for x in row] for row in matrix], dtype=float)
    if values.shape != (len(matrix),) * 2 or (values != values.T).any() or (np.diag(values) != 1.0).any():
        return float("nan")
    return float(np.linalg.eigvalsh(values)[0])


CHECKS = (covered, positive_semi_definite)
