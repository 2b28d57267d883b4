"""`ml.promotions`: fit what the gate chose, register it, let it serve, and write down why.

The champion alias is set here and nowhere else, after the gate's verdict. The ledger row comes last: a killed run is
finished by the next one, which finds the registered version of the same evaluation again.
"""

import tempfile
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from models.contracts.market import SeriesKind
from models.contracts.tables import ML_PROMOTIONS
from models.validation.gate import GateDecision
from models.volatility.bundle import Bundle, fit_bundle, load_bundle
from orchestration import keys, served_rows
from orchestration.assets.evaluation import Work, decision_of, is_stored, read_forecasts, works
from orchestration.resources.model_registry import BUNDLE, ModelRegistry, Version
from orchestration.resources.workspace import Workspace


class ReloadMismatch(RuntimeError):
    """A registered bundle does not predict what it predicted before it was stored; it must not serve."""


def model_name(kind: SeriesKind, horizon_days: int) -> str:
    """Name of the registered model of a panel and horizon."""
    return f"volatility_{kind.value}_{horizon_days}d"


@dg.asset(
    key=keys.PROMOTIONS,
    deps=[keys.WALK_FORWARD],
    group_name=keys.TRAINING,
    kinds={"python", "mlflow"},
)
def promotions(
    context: dg.AssetExecutionContext, workspace: Workspace, registry: ModelRegistry
) -> dg.MaterializeResult[Any]:
    """Champion of each panel and horizon: the best baseline, or the challenger that beats it significantly.

    Grain of ml.promotions: one row a change of the serving version, with the gate's evidence.
    """
    champions, added, lines = registry.champions(), 0, []
    for work in works(workspace):
        name = model_name(work.kind, work.horizon_days)
        if not is_stored(workspace, work.id):
            lines.append(f"{name}: its data or code has changed since the last evaluation, nothing is decided on that")
            continue
        forecasts, decision = read_forecasts(workspace, work.id), decision_of(workspace, work)
        serving = champions.get(name)
        if serving is None or serving.evaluation_id != work.id:
            bundle = fit_bundle(work.rows, work.kind, work.horizon_days, decision.champion, forecasts)
            version = _register(registry, workspace, work, bundle, name)
            registry.promote(version)
        else:
            version = serving
        replaced = serving.version if serving is not None and serving != version else None
        added += _write_down(workspace, work, decision, version, replaced, context.run_id)
        lines.append(f"{name}: version {version.version}, {decision.champion}: {'; '.join(decision.reasons)}")
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": added,
            "models": len(lines),
            "champions": dg.MetadataValue.md("\n".join(f"- {line}" for line in lines) or "nothing to train on yet"),
        }
    )


def _register(registry: ModelRegistry, workspace: Workspace, work: Work, bundle: Bundle, name: str) -> Version:
    """Store the bundle as a version and prove that it comes back the same, for one series and for all."""
    answer = bundle.predict(work.rows)
    with tempfile.TemporaryDirectory(dir=workspace.settings.workspace, prefix="bundle-") as folder:
        path = Path(folder) / BUNDLE
        path.mkdir()
        bundle.save(path)
        run_id = registry.open_run(work.id, work.id, {"panel": work.kind.value, "data_mode": workspace.mode.value})
        version = registry.register(
            run_id,
            name,
            path,
            served_rows.question(work.rows),
            served_rows.answer(answer),
            work.id,
            bundle.champion,
        )
    stored = load_bundle(registry.bundle(version))
    alone = work.rows[work.rows["series"] == answer["series"].iloc[0]]
    # One series alone is another question to a pooled model, so both are put to the bundle as it was before.
    for rows, expected in ((work.rows, answer), (alone, bundle.predict(alone))):
        if not served_rows.answer(stored.predict(rows)).equals(served_rows.answer(expected)):
            raise ReloadMismatch(f"{name} version {version.version} predicts otherwise after it was stored")
    return version


def _write_down(
    workspace: Workspace, work: Work, decision: GateDecision, version: Version, replaced: str | None, run_id: str
) -> int:
    """One ledger row a promoted version. Returns rows added."""
    known = workspace.warehouse.rows(
        f"select 1 as one from {ML_PROMOTIONS} where model_name = :name and model_version = :version limit 1",
        {"name": version.name, "version": version.version},
    )
    if known:
        return 0
    row = {
        "panel": work.kind.value,
        "horizon_days": work.horizon_days,
        "model_name": version.name,
        "model_version": version.version,
        "algorithm": decision.champion,
        "replaced_version": replaced,
        "reason": "; ".join(decision.reasons),
        "evidence": {
            "evaluation_id": work.id,
            "data_hash": work.data,
            "code_hash": work.code,
            "dates": decision.dates,
            "gate": _records(decision.table),
        },
        "promoted_by": "gate",
        "promoted_at": workspace.now(),
        "run_id": run_id,
    }
    return workspace.warehouse.append_table(ML_PROMOTIONS, [row], conflict=None)


def _records(table: pd.DataFrame) -> list[dict[Any, Any]]:
    """JSON rows: a missing figure is null."""
    return [{k: None if v != v else v for k, v in row.items()} for row in table.to_dict("records")]
