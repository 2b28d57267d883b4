"""`ml.walk_forward`: what each model would have said at each origin, and how good that was.

One evaluation a panel (kind of series) and horizon. Its identity is the hash of data and code, so an evaluation that
was made is reused. The forecasts of all models stay in the workspace as Parquet; the warehouse gets those of the best
baseline, and as model `champion` what the gate would have published at each origin, without hindsight.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.contracts.horizons import PROTOCOLS
from models.contracts.market import SeriesKind
from models.contracts.score import PUBLISHED
from models.contracts.tables import ML_EVALUATIONS, ML_WALK_FORWARD
from models.regimes.labels import known_regimes
from models.validation.champion_path import champion_path
from models.validation.eda import clustering, facts
from models.validation.evaluation import PANEL, evaluate
from models.validation.folds import losses_by_fold
from models.validation.gate import GateDecision, decide
from models.validation.pit import pit
from models.validation.plots import (
    forecast_against_realised,
    loss_over_time,
    pit_histogram,
    reliability_diagram,
    volatility_clusters,
)
from models.volatility.panel import build_panel
from models.volatility.walk_forward import walk_forward
from orchestration import keys
from orchestration.panels import PANELS, training_rows
from orchestration.provenance import code_hash, data_hash, evaluation_id
from orchestration.resources.model_registry import ModelRegistry
from orchestration.resources.warehouse import Warehouse
from orchestration.resources.workspace import Workspace

_STORED = (
    "evaluation_id", "model", "series", "horizon_days", "origin", "issued_at", "rv_forecast", "realised", "p_spike",
    "score", "var99", "es99",
)  # fmt: skip
_FIGURES = (
    "model", "series", "horizon_days", "rows", "qlike", "qlike_uncapped", "ratio_to_best_baseline", "dm_p_value",
    "spike_auc", "spike_brier_skill", "spike_ece", "var99_rate",
)  # fmt: skip


@dataclass(frozen=True)
class Work:
    """One evaluation to have: a panel's rows and a horizon."""

    kind: SeriesKind
    horizon_days: int
    rows: pd.DataFrame
    data: str
    code: str

    @property
    def id(self) -> str:
        return evaluation_id(self.kind.value, self.horizon_days, self.data, self.code)

    @property
    def other_id(self) -> str:
        """Evaluation of the same rows at the panel's other horizon: the gate looks at both."""
        return other_evaluation(self.kind, self.horizon_days, self.data, self.code)


def works(workspace: Workspace) -> Iterator[Work]:
    """All evaluations that the scored series of this market ask for; a kind without rows is left out."""
    code, vaults = code_hash(), workspace.vaults()
    scored = [spec for spec in workspace.series() if spec.scored]
    for kind in PANELS:
        rows = training_rows(workspace.warehouse, kind, scored, vaults)
        if rows.empty:
            continue
        data = data_hash(rows)
        for horizon in PROTOCOLS[kind].horizons:
            yield Work(kind, horizon, rows, data, code)


def forecasts_path(workspace: Workspace, evaluation: str) -> Path:
    return workspace.settings.workspace / "evaluations" / f"{evaluation}.parquet"


@dg.asset(
    key=keys.WALK_FORWARD,
    deps=[keys.VOLATILITY_FEATURES],
    group_name=keys.TRAINING,
    kinds={"python", "lightgbm", "mlflow"},
)
def walk_forward_forecasts(
    context: dg.AssetExecutionContext, workspace: Workspace, registry: ModelRegistry
) -> dg.MaterializeResult[Any]:
    """Purged walk-forward of all models on every scored series, with their figures against the baselines.

    Grain of ml.walk_forward: one row an evaluation, model, series, horizon and origin.
    """
    lines, added = [], 0
    for _, group in groupby(works(workspace), key=lambda work: work.kind):
        panel = list(group)
        missing = [work for work in panel if not forecasts_path(workspace, work.id).is_file()]
        for work in missing:
            context.log.info(f"{work.id}: {work.rows['series'].nunique()} series, {len(work.rows)} rows")
        make_forecasts(workspace, missing)
        fresh = [work for work in panel if not is_stored(workspace, work.id)]
        run = workspace.runner(len(panel[0].rows))
        stored = {name: read_forecasts(workspace, name) for work in fresh for name in (work.id, work.other_id)}
        judged = run([partial(judge_forecasts, work.kind, stored[work.id], stored[work.other_id]) for work in fresh])
        for work, judgement in zip(fresh, judged, strict=True):
            added += store_evaluation(workspace, registry, work, judgement)
        decisions = {work.id: judgement.decision for work, judgement in zip(fresh, judged, strict=True)}
        for work in panel:
            decision = decisions.get(work.id) or decision_of(workspace, work)
            lines.append(_line(work, decision, work.id not in decisions))
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": added,
            "evaluations": len(lines),
            "reused": sum(line["reused"] == "yes" for line in lines),
            "code_hash": code_hash(),
            "panels": dg.MetadataValue.md(_markdown(lines)),
        }
    )


def is_stored(workspace: Workspace, evaluation: str) -> bool:
    """Whether this very evaluation was made and all of it is still there."""
    found = workspace.warehouse.rows(
        f"select 1 as one from {ML_EVALUATIONS} where evaluation_id = :id limit 1", {"id": evaluation}
    )
    return bool(found) and forecasts_path(workspace, evaluation).is_file()


def read_forecasts(workspace: Workspace, evaluation: str) -> pd.DataFrame:
    return pd.read_parquet(forecasts_path(workspace, evaluation))


def other_evaluation(kind: SeriesKind, horizon_days: int, data: str, code: str) -> str:
    """Id of the evaluation of the same rows, by the same code, at the panel's other horizon."""
    (other,) = (h for h in PROTOCOLS[kind].horizons if h != horizon_days)
    return evaluation_id(kind.value, other, data, code)


def decision_of(workspace: Workspace, work: Work) -> GateDecision:
    return decision_on(workspace, work.id, work.other_id)


def decision_on(workspace: Workspace, evaluation: str, other: str) -> GateDecision:
    """What the gate says to stored forecasts of both horizons; to one alone while there is no other."""
    there = forecasts_path(workspace, other).is_file()
    return decide(read_forecasts(workspace, evaluation), read_forecasts(workspace, other) if there else None)


def make_forecasts(workspace: Workspace, horizons: Sequence[Work]) -> None:
    """Walk-forwards of one panel as Parquet, each complete or not at all, with the regime known at each origin."""
    if not horizons:
        return
    panel = build_panel(horizons[0].rows, horizons[0].kind)
    run = workspace.runner(len(horizons[0].rows))
    regimes = known_regimes(panel, run)
    for work in horizons:
        forecasts = walk_forward(panel, work.kind, work.horizon_days, run=run)
        forecasts = forecasts.merge(regimes, how="left", on=["series", "as_of"], validate="many_to_one")
        path = forecasts_path(workspace, work.id)
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        forecasts.to_parquet(fresh, index=False)
        fresh.replace(path)


@dataclass(frozen=True)
class Judgement:
    """What the gate says to forecasts, their figures, whole and by fold, what would have been published of them without
    hindsight, and where outcomes fell in the law of the member that was chosen."""

    decision: GateDecision
    figures: pd.DataFrame
    folds: pd.DataFrame
    published: pd.DataFrame
    pit: NDArray[np.float64]


def judge_forecasts(kind: SeriesKind, forecasts: pd.DataFrame, other: pd.DataFrame) -> Judgement:
    """Judge the forecasts of one horizon; `other`: those of the panel's other horizon. Frames, not their files: another
    machine may do it."""
    decision = decide(forecasts, other)
    return Judgement(
        decision,
        evaluate(forecasts),
        losses_by_fold(forecasts),
        champion_path(forecasts, kind, other),
        pit(forecasts, decision.champion, PROTOCOLS[kind]),
    )


def store_evaluation(workspace: Workspace, registry: ModelRegistry, work: Work, judged: Judgement) -> int:
    """Figures of stored forecasts to MLflow and, with what would have been published, to the warehouse; the figures
    come last, they mark the end."""
    forecasts, decision = read_forecasts(workspace, work.id), judged.decision
    run_id = registry.open_run(work.id, work.id, {"panel": work.kind.value, "data_mode": workspace.mode.value})
    _log(registry, run_id, work, forecasts, judged)
    baseline = forecasts[forecasts["scored"] & (forecasts["model"] == decision.best_baseline)]
    kept = pd.concat([baseline, judged.published.assign(model=PUBLISHED)], ignore_index=True)
    return _store(workspace.warehouse, work, kept, decision, judged.figures, run_id, workspace.mode.value)


def _store(
    warehouse: Warehouse,
    work: Work,
    kept: pd.DataFrame,
    decision: GateDecision,
    table: pd.DataFrame,
    mlflow_run: str,
    mode: str,
) -> int:
    added = warehouse.append_table(ML_WALK_FORWARD, kept.assign(evaluation_id=work.id)[list(_STORED)])
    if table.empty:
        # Too short a history to compare anything is a finding as well: one row says so.
        table = pd.DataFrame(
            [{"model": decision.champion, "series": PANEL, "horizon_days": work.horizon_days, "rows": 0}]
        )
    figures = table.reindex(columns=list(_FIGURES)).assign(
        evaluation_id=work.id,
        panel=work.kind.value,
        data_hash=work.data,
        code_hash=work.code,
        data_mode=mode,
        mlflow_run_id=mlflow_run,
    )
    return added + warehouse.append_table(ML_EVALUATIONS, figures)


def _log(
    registry: ModelRegistry,
    run_id: str,
    work: Work,
    forecasts: pd.DataFrame,
    judged: Judgement,
) -> None:
    decision, table = judged.decision, judged.figures
    panel = build_panel(work.rows, work.kind)
    whole = table[table["series"] == PANEL] if len(table) else table
    metrics = {
        f"{row['model']}.{name}": float(row[name])
        for row in whole.to_dict("records")
        for name in _FIGURES[3:]
        if name in row and pd.notna(row[name])
    }
    registry.log(
        run_id,
        params={
            "panel": work.kind.value,
            "horizon_days": work.horizon_days,
            "series": work.rows["series"].nunique(),
            "rows": len(work.rows),
            "first": work.rows["as_of"].min().isoformat(),
            "last": work.rows["as_of"].max().isoformat(),
            "data_hash": work.data,
            "code_hash": work.code,
            "champion": decision.champion,
            "gate": "; ".join(decision.reasons)[:500],
        },
        metrics=metrics,
        figures={
            "plots/loss_over_time.png": loss_over_time(forecasts),
            "plots/reliability.png": reliability_diagram(forecasts),
            "plots/pit.png": pit_histogram(judged.pit, decision.champion),
            "plots/volatility_clusters.png": volatility_clusters(clustering(panel)),
            "plots/forecast.png": forecast_against_realised(
                forecasts, decision.champion, str(work.rows["series"].iloc[0])
            ),
        },
        tables={
            "evaluation.csv": table,
            "gate.csv": decision.table,
            "folds.csv": judged.folds,
            "eda.csv": facts(panel),
        },
    )
    registry.log_folds(run_id, work.id, _by_fold(judged.folds, decision.best_baseline))


def _by_fold(folds: pd.DataFrame, baseline: str) -> dict[str, dict[str, float]]:
    """Loss of each model in each fold, and over that of the baseline in force, by the months that the fold spans."""
    found = {}
    for fold in folds.to_dict("records"):
        losses = {name: float(fold[name]) for name in folds.columns.drop(["first", "last", "dates"])}
        ratios = {f"{name}.ratio": loss / losses[baseline] for name, loss in losses.items()}
        metrics = {"dates": float(fold["dates"])} | {f"{name}.qlike": loss for name, loss in losses.items()} | ratios
        found[f"{fold['first']:%Y-%m} to {fold['last']:%Y-%m}"] = metrics
    return found


def _line(work: Work, decision: GateDecision, reused: bool) -> dict[str, str]:
    return {
        "panel": work.kind.value,
        "days": str(work.horizon_days),
        "series": str(work.rows["series"].nunique()),
        "dates": str(decision.dates),
        "champion": decision.champion,
        "reused": "yes" if reused else "no",
        "why": "; ".join(decision.reasons),
    }


def _markdown(lines: list[dict[str, str]]) -> str:
    if not lines:
        return "no series is scored yet"
    names = list(lines[0])
    rows = [" | ".join(line[name] for name in names) for line in lines]
    return "\n".join([" | ".join(names), " | ".join("---" for _ in names), *rows])
