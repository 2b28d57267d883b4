"""`risk.var`: value at risk and expected shortfall beside each new score, by several methods.

Part of the hourly refresh. A tick that brought no score reads one small query and stops there. What a tail rests on is
`orchestration.histories`; VaR99 and ES99 of `filtered` at one day are those of the score itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pandas as pd

from models.risk.methods import Method, VarEstimate, no_estimate
from models.risk.standing import no_history, standing
from models.volatility.status import Verdict
from orchestration import keys
from orchestration.assets.quality import markdown
from orchestration.histories import History, histories
from orchestration.resources.var import NUMBERS, Scored, as_row, scores_without_var, store_var
from orchestration.resources.workspace import Workspace

_SHOWN = 60


@dg.asset(
    key=keys.VAR,
    deps=[keys.SCORES, keys.VOLATILITY_FEATURES],
    group_name=keys.SCORING,
    kinds={"postgres", "python"},
)
def var(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult[Any]:
    """Value at risk and expected shortfall at 95 and 99 % of each scored series and vault, at its score's horizons.

    Grain: one row a score and method (historical, filtered, student_t).
    """
    done = speak_all(workspace, context.run.run_id)
    by_status = pd.Series([row["status"] for row in done.said], dtype=object).value_counts()
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": done.added,
            **{f"status_{status}": int(count) for status, count in by_status.items()},
            "newest": dg.MetadataValue.md(markdown(_table(done.said[:_SHOWN]))),
        }
    )


@dataclass(frozen=True)
class Done:
    """Rows that were made at this tick, and how many of them were new."""

    said: list[dict[str, Any]]
    added: int


def speak_all(workspace: Workspace, run_id: str) -> Done:
    """Put a value at risk beside each newest score that has none; a second call adds nothing."""
    fresh, now = scores_without_var(workspace.warehouse), workspace.now()
    said = [
        as_row(score, found, verdict, now)
        for score, history in histories(workspace, fresh, now)
        for found, verdict in _speak(score, history)
    ]
    return Done(said, store_var(workspace.warehouse, said, workspace.mode, run_id))


def _speak(score: Scored, history: History) -> Iterator[tuple[VarEstimate, Verdict]]:
    for method in Method:
        found = history.tail(method, score.horizon_days)
        if found is None or history.grid is None:
            yield no_estimate(method, score.horizon_days), no_history(history.kind, pd.Timestamp(score.as_of))
        else:
            found = score.agreed(found)
            yield found, standing(found, history.grid, history.kind, score.said)


def _table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "subject": row["subject"], "days": row["horizon_days"], "method": row["method"],
                "as_of": f"{row['as_of']:%Y-%m-%d %H:%M}",
                **{
                    name: "" if row[f"{name}_log"] is None else f"{row[f'{name}_log']:.4f}"
                    for name in NUMBERS
                },
                "beyond": f"{row['exceeded95']} and {row['exceeded99']} of {row['tested_windows']}",
                "status": row["status"], "why": "; ".join(row["reasons"]),
            }
            for row in rows
        ]
    )  # fmt: skip
