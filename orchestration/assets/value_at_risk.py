"""`risk.var`: value at risk and expected shortfall beside each new score, by several methods.

Part of the hourly refresh. A tick that brought no score reads one small query and stops there. Forecasts of the past
are those that were issued, and before them what the gate would have published: nothing is looked at with hindsight.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pandas as pd

from models.contracts.horizons import PROTOCOLS
from models.contracts.market import SeriesKind
from models.risk.methods import Method, VarEstimate, estimate, no_estimate
from models.risk.standing import no_history, standing
from models.volatility.outcomes import adaptive_step
from models.volatility.panel import Grid, build_panel, utc
from models.volatility.status import Verdict
from orchestration import keys
from orchestration.assets.quality import markdown
from orchestration.drift.reads import told
from orchestration.panels import PANELS, training_rows
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
    if not fresh:
        return Done([], 0)
    past = told(workspace.warehouse, sorted({score.subject for score in fresh}), now)
    forecasts = dict(iter(past.groupby(["series", "horizon_days"])))
    said = []
    for kind, asked in _by_kind(workspace, fresh).items():
        grids = _grids(workspace, kind, asked)
        for score in asked:
            known = forecasts.get((score.subject, score.horizon_days), past[:0])
            for found, verdict in _speak(score, kind, grids.get(score.subject), known):
                said.append(as_row(score, found, verdict, now))
    return Done(said, store_var(workspace.warehouse, said, workspace.mode, run_id))


def _by_kind(workspace: Workspace, fresh: Sequence[Scored]) -> Mapping[SeriesKind, list[Scored]]:
    kinds = {spec.id: spec.kind for spec in workspace.series() if spec.scored}
    kinds |= {f"vault:{vault.id}": SeriesKind.VAULT for vault in workspace.vaults()}
    return {kind: asked for kind in PANELS if (asked := [score for score in fresh if kinds.get(score.subject) is kind])}


def _grids(workspace: Workspace, kind: SeriesKind, asked: Sequence[Scored]) -> Mapping[str, Grid]:
    """Closed days of each subject up to the moment of its score."""
    until = {score.subject: score.as_of for score in asked}
    scored = [s for s in workspace.series() if s.scored and (kind is SeriesKind.VAULT or s.id in until)]
    vaults = [vault for vault in workspace.vaults() if f"vault:{vault.id}" in until]
    rows = training_rows(workspace.warehouse, kind, scored, vaults)
    if rows.empty:
        return {}
    rows = rows[rows["as_of"] <= pd.to_datetime(rows["series"].map(until), utc=True)]
    return build_panel(rows, kind).grids


def _speak(
    score: Scored, kind: SeriesKind, grid: Grid | None, past: pd.DataFrame
) -> Iterator[tuple[VarEstimate, Verdict]]:
    for method in Method:
        if grid is None:
            yield no_estimate(method, score.horizon_days), no_history(kind, pd.Timestamp(score.as_of))
            continue
        forecast = pd.Series(past["rv_forecast"].to_numpy(dtype=float), utc(past["as_of"])).reindex(grid.as_of)
        forecast.iloc[-1] = score.rv_forecast
        step = adaptive_step(kind)
        found = estimate(method, grid.ret, forecast.to_numpy(), score.horizon_days, PROTOCOLS[kind], step)
        yield found, standing(found, grid, kind, score.said)


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
