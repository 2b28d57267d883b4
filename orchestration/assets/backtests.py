"""`risk.runs`: the policies of each vault on its recorded years, and the job that computes what the API was asked for.

The weekly table is a run like any other: it stands in the registry, and who asks the API for the same gets it from
there.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd

from models.backtest.intervals import MIN_DAYS
from models.backtest.placebo import SHIFTS
from models.backtest.plots import equity_and_drawdown
from models.backtest.standard import plan
from models.contracts import jobs as names
from models.contracts.runs import Asker, ScoreSource
from models.contracts.vault import PolicyName, VaultConfig
from models.runs.plan import RequestError, unwatched
from models.runs.reading import StoredMarket
from models.runs.registry import StoredRun
from orchestration import keys
from orchestration.assets.quality import markdown
from orchestration.drift.curve import as_markdown_image, png
from orchestration.requested_runs import compute_now, compute_waiting
from orchestration.resources.model_registry import ModelRegistry
from orchestration.resources.runs import market_of, registry_of
from orchestration.resources.workspace import Workspace

# Where a vault wants no volatility, the median of its first forecasts stands in, and the days after them are judged.
FIRST_FORECASTS = 90


@dg.asset(
    key=keys.RUNS,
    deps=[keys.WALK_FORWARD, keys.BAR_RETURNS],
    group_name=keys.TRAINING,
    kinds={"postgres", "python", "mlflow"},
)
def policy_backtests(
    context: dg.AssetExecutionContext, workspace: Workspace, registry: ModelRegistry
) -> dg.MaterializeResult[Any]:
    """Both policies of each vault beside their mixes of equal exposure and the benchmarks, with intervals and placebo.

    Grain of risk.runs: one row a backtest or simulation that was asked for. Forecasts are those of the walk-forward.
    """
    workspace.warehouse.upsert_vaults(workspace.vaults())
    market, done, refused = market_of(workspace.warehouse), list[_Done](), list[str]()
    for vault in workspace.vaults():
        try:
            run = compute_now(
                workspace, plan(question(vault, market), market), Asker.DAGSTER, unwatched, context.run.run_id
            )
        except RequestError as error:
            refused.append(f"{vault.id}: {error}")
            context.log.warning(refused[-1])
            continue
        curve, _ = registry_of(workspace.warehouse).course(run.id)
        done.append(_Done(vault.id, run, table_of(run), curve))
        log_in_mlflow(registry, done[-1])
    metadata: dict[str, Any] = {"dagster/row_count": len(done), "runs": ", ".join(each.run.id for each in done)}
    if refused:
        metadata["refused"] = "; ".join(refused)
    for each in done:
        drawn = png(equity_and_drawdown(each.curve, f"vault {each.vault_id}"))
        metadata[f"{each.vault_id}_strategies"] = dg.MetadataValue.md(markdown(each.table))
        metadata[f"{each.vault_id}_equity"] = dg.MetadataValue.md(as_markdown_image(drawn, "equity and drawdown"))
    return dg.MaterializeResult(metadata=metadata)


@dataclass(frozen=True)
class _Done:
    vault_id: str
    run: StoredRun
    table: pd.DataFrame
    curve: Any


def question(vault: VaultConfig, market: StoredMarket) -> dict[str, Any]:
    """What is asked of a vault: both policies where enough forecasts are there to name a volatility, else its own."""
    asked: dict[str, Any] = {"vault_id": vault.id, "placebo_shifts": SHIFTS}
    both = [policy.value for policy in PolicyName]
    if vault.limits.target_sigma_ann is not None:
        return asked | {"policies": both}
    scores = market.scores(vault.id, ScoreSource.WALK_FORWARD)
    if len(scores) < FIRST_FORECASTS + MIN_DAYS:
        return asked
    first = scores[:FIRST_FORECASTS]
    wanted = float(np.median([score.sigma_ann for score in first if score.sigma_ann is not None]))
    start = first[-1].as_of.date() + timedelta(days=1)
    return asked | {"policies": both, "limits": {"target_sigma_ann": round(wanted, 4)}, "start": start.isoformat()}


def table_of(run: StoredRun) -> pd.DataFrame:
    """One row a strategy: figures, and what is left beside the mix of equal exposure, with its interval."""
    assert run.summary is not None
    less = run.summary["intervals"]["less"]
    rows = []
    for each in run.summary["strategies"]:
        figures, placebo = each["figures"], each["placebo"] or {"p_value": {}}
        own = less.get(each["name"], {})
        rows.append(
            {
                "strategy": each["name"].replace("_", " "),
                "exposure": _number(each["mean_exposure"]),
                "turnover a year": _number(each["turnover_a_year"], 1),
                "growth a year": _number(figures["cagr"]), "volatility": _number(figures["volatility"]),
                "Sharpe": _number(figures["sharpe"]), "largest drawdown": _number(figures["max_drawdown"]),
                "ES99": _number(figures["es99"], 3), "ES99 less mix": _interval(own.get("es99_ratio")),
                "p (ES99)": _number(placebo["p_value"].get("es99"), 3),
                "Sharpe less mix": _interval(own.get("sharpe")),
                "p (Sharpe)": _number(placebo["p_value"].get("sharpe"), 3),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def log_in_mlflow(registry: ModelRegistry, done: _Done) -> None:
    """One MLflow run for each run of the registry; repeating it writes the same again."""
    run, summary = done.run, done.run.summary or {}
    tracked = registry.open_run(f"backtest {done.vault_id}", run.id, {"kind": "backtest", "vault": done.vault_id})
    params = {
        name: run.inputs[name]
        for name in ("policies", "benchmarks", "scores", "start", "end", "half_spread_bps", "slippage_bps",
                     "latency_bars", "placebo_shifts", "bootstrap_repetitions", "seed")
    } | {name: getattr(run, name) for name in ("data_hash", "code_hash", "environment_hash")}  # fmt: skip
    metrics = {
        f"{each['name']}_{name}": float(value)
        for each in summary["strategies"]
        for name, value in each["figures"].items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    figures = {"equity.png": equity_and_drawdown(done.curve, f"vault {done.vault_id}")}
    registry.log(tracked, params, metrics, figures, {"strategies.csv": done.table})


def _number(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _interval(found: dict[str, float | None] | None) -> str:
    if not found or found["value"] is None:
        return ""
    if found["low"] is None or found["high"] is None:
        return f"{found['value']:+.2f}"
    return f"{found['value']:+.2f} ({found['low']:+.2f} to {found['high']:+.2f})"


@dg.op(name="compute_requested_runs")
def compute_requested_runs(context: dg.OpExecutionContext, workspace: Workspace) -> None:
    """Compute every run that waits in the registry, oldest first."""
    done = compute_waiting(workspace, context.run_id, context.log)
    context.log.info(f"{len(done)} runs: {', '.join(done)}")


@dg.job(name=names.REQUESTED_RUNS, executor_def=dg.in_process_executor)
def requested_runs() -> None:
    """Compute what the API was asked for and was too large to be answered at once."""
    compute_requested_runs()
