"""`risk.stress`: what may become of each vault, with and without its keeper, once for each day that closes.

Part of the hourly refresh: a tick on which no day has closed reads one small query and stops there. The test is a run
of the registry like any other, and whoever asks the API for the same gets it from there.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pandas as pd

from models.contracts.market import SeriesSpec
from models.contracts.runs import Asker
from models.contracts.tables import RISK_STRESS
from models.contracts.vault import VaultConfig
from models.risk.validity import Validity
from models.runs.plan import Cancelled, Plan, RequestError, unwatched
from models.runs.reading import StoredMarket
from models.runs.registry import StoredRun
from models.stress.plots import WORDS, drawdown_histogram, fan_chart
from models.stress.standard import plan
from orchestration import keys
from orchestration.assets.quality import markdown
from orchestration.drift.curve import as_markdown_image, png
from orchestration.requested_runs import compute_now
from orchestration.resources.model_registry import ModelRegistry, outages
from orchestration.resources.runs import market_of, registry_of
from orchestration.resources.workspace import Workspace

# The usual shocks on paths of days: all vaults are then asked the same, also those with a rate of the day.
SUITE: Mapping[str, Any] = {"step": "day", "shocks": "usual"}
CAUGHT_UP = 7  # newest tests of a vault that are logged in MLflow if an outage kept them out
SHOWN = (
    "mean_return", "loss_probability", "var_99", "es_99", "max_drawdown_50", "max_drawdown_95", "max_drawdown_99",
    "ruin_probability", "under_water",
)  # fmt: skip


@dg.asset(
    key=keys.STRESS,
    deps=[keys.SCORES, keys.TARGETS, keys.BAR_RETURNS],
    group_name=keys.SCORING,
    kinds={"postgres", "python", "mlflow"},
)
def stress(
    context: dg.AssetExecutionContext, workspace: Workspace, registry: ModelRegistry
) -> dg.MaterializeResult[Any]:
    """Stress test of each vault on its newest closed day: drawdowns, tails, and what the keeper changes of them.

    Grain: one row a vault and day. 10,000 paths of 30 days under the usual shocks; the seed is the day.
    """
    done, refused = list[Tested](), list[str]()
    for vault in due(workspace):
        try:
            found = tested(workspace, vault, context.run.run_id)
        except (RequestError, Cancelled) as error:
            refused.append(f"{vault.id}: {error}")
            context.log.warning(refused[-1])
            continue
        if found is not None:
            done.append(found)
    metadata: dict[str, Any] = {"dagster/row_count": len(done), "runs": ", ".join(each.run.id for each in done)}
    if refused:
        metadata["refused"] = "; ".join(refused)
    try:
        for each in done:
            log_what_lacks(registry, workspace, each.vault_id)
    except outages() as error:  # the figures are served all the same
        metadata["not_in_mlflow"] = f"{type(error).__name__}: the next test logs what lacks"
        context.log.warning(f"MLflow took no stress test: {type(error).__name__}; the next one is tried with this one")
    for each in done:
        metadata |= {f"{each.vault_id}_{name}": value for name, value in headline(each.run).items()}
        metadata[f"{each.vault_id}_figures"] = dg.MetadataValue.md(markdown(each.table))
        for name, drawn in each.pictures().items():
            metadata[f"{each.vault_id}_{name}"] = dg.MetadataValue.md(as_markdown_image(png(drawn), name))
    return dg.MaterializeResult(metadata=metadata)


@dataclass(frozen=True)
class Tested:
    """A test that was made: its run, its curve as stored, and the figures in a table."""

    vault_id: str
    as_of: datetime
    run: StoredRun
    curve: Mapping[str, Any]
    table: pd.DataFrame

    def pictures(self) -> dict[str, Any]:
        """Figures of matplotlib by name."""
        title = f"vault {self.vault_id}, {self.as_of:%Y-%m-%d}, usual shocks"
        return {
            "fan_chart": fan_chart(self.curve, title),
            "drawdown_histogram": drawdown_histogram(self.curve, title),
        }


def due(workspace: Workspace) -> list[VaultConfig]:
    """Vaults without a test of the day that closed last."""
    rows = workspace.warehouse.rows(f"select vault_id, max(as_of) as as_of from {RISK_STRESS} group by vault_id")
    done = {row["vault_id"]: row["as_of"] for row in rows}
    midnight = workspace.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return [vault for vault in workspace.vaults() if vault.id not in done or done[vault.id] < midnight]


def tested(workspace: Workspace, vault: VaultConfig, run_id: str) -> Tested | None:
    """Make and store the test of a vault; None where no day has closed since the last one.

    Raises
    ------
    RequestError
        The data do not suffice.
    """
    warehouse, now = workspace.warehouse, workspace.now()
    workspace.warehouse.upsert_vaults([vault])
    asked, as_of = question(vault, market_of(warehouse))
    last = warehouse.rows(
        f"select 1 as one from {RISK_STRESS} where vault_id = :id and as_of >= :as_of", {"id": vault.id, "as_of": as_of}
    )
    if last:
        return None
    run = compute_now(workspace, asked, Asker.DAGSTER, unwatched, run_id)
    row = {
        "vault_id": vault.id, "as_of": as_of, "issued_at": now,
        "valid_until": _validity(vault, workspace.series()).until(as_of), "run": run.id,
        "data_mode": workspace.mode.value, "run_id": run_id,
    }  # fmt: skip
    warehouse.append_table(RISK_STRESS, [row])
    curve, _ = registry_of(warehouse).course(run.id)
    return Tested(vault.id, as_of, run, curve, table_of(run))


def question(vault: VaultConfig, market: StoredMarket) -> tuple[Plan, datetime]:
    """The run of the newest closed day, and the midnight at which that closed. Raises RequestError."""
    body = {"vault_id": vault.id, **SUITE}
    last = datetime.fromisoformat(plan(body, market).inputs["end"]).replace(tzinfo=UTC)
    # With its last day: another one may close between the two looks.
    asked = {**body, "end": f"{last:%Y-%m-%d}", "seed": int(f"{last:%Y%m%d}")}
    return plan(asked, market), last + timedelta(days=1)


def headline(run: StoredRun) -> dict[str, float | str]:
    """Loss and drawdown with and without the keeper, what he changes, and the standard error of each."""
    summary = run.summary or {}
    found: dict[str, float | str] = {"simulation": run.id, "paths": float(run.inputs["paths"])}
    sides = {WORDS[name]: figures for name, figures in _figures(summary).items() if name != "mix"}
    sides["keeper less none"] = summary["policy_less"]["hold"]
    for side, figures in sides.items():
        for name in ("es_99", "max_drawdown_50", "max_drawdown_95", "max_drawdown_99"):
            for what, value in (("", figures[name]["value"]), (" error", figures[name]["standard_error"])):
                if value is not None:
                    found[f"{name} {side}{what}".replace(" ", "_")] = float(value)
    return found


def table_of(run: StoredRun) -> pd.DataFrame:
    """One row a figure, with its standard error: without and with the keeper, at equal exposure, what the keeper
    changes (95 % interval), and the same without shocks."""
    summary = run.summary or {}
    figures, less, calm = _figures(summary), summary["policy_less"]["hold"], summary["shocks"]
    return pd.DataFrame(
        [
            {
                "figure": name.replace("_", " "),
                **{WORDS[strategy]: _with_error(own[name]) for strategy, own in figures.items()},
                "keeper less none": _interval(less[name]),
                **(
                    {f"no shocks, {WORDS[each]}": _with_error(calm["calm"][each][name]) for each in ("hold", "policy")}
                    if calm is not None
                    else {}
                ),
            }
            for name in SHOWN
        ]
    )


def log_what_lacks(registry: ModelRegistry, workspace: Workspace, vault_id: str) -> None:
    """Log the newest tests of a vault that MLflow does not have, oldest first."""
    query = f"select as_of, run from {RISK_STRESS} where vault_id = :id order by as_of desc limit {CAUGHT_UP}"
    runs = registry_of(workspace.warehouse)
    for row in reversed(workspace.warehouse.rows(query, {"id": vault_id})):
        run = None if registry.has_run(row["run"]) else runs.find(row["run"])
        if run is not None:
            curve, _ = runs.course(run.id)
            log_in_mlflow(registry, Tested(vault_id, row["as_of"], run, curve, table_of(run)))


def log_in_mlflow(registry: ModelRegistry, done: Tested) -> None:
    """One MLflow run for each test; repeating it writes the same again. Its end is written last."""
    run, summary = done.run, done.run.summary or {}
    tracked = registry.open_run(f"stress {done.vault_id}", run.id, {"kind": "stress", "vault": done.vault_id})
    names = ("paths", "days", "step", "generator", "start", "end", "half_spread_bps", "slippage_bps", "seed")
    params = {name: run.inputs[name] for name in names} | {"shocks": ", ".join(run.inputs["shocks"])}
    params |= {name: getattr(run, name) for name in ("data_hash", "code_hash", "environment_hash")}
    metrics = {
        f"{strategy}_{name}{suffix}": float(value)
        for strategy, figures in _figures(summary).items()
        for name, own in figures.items()
        for suffix, value in (("", own["value"]), ("_error", own["standard_error"]))
        if value is not None
    }
    pictures = {f"{name}.png": drawn for name, drawn in done.pictures().items()}
    document = {"id": run.id, "inputs": run.inputs, "summary": summary, "curve": done.curve}
    registry.add(tracked, {}, {"run.json": json.dumps(document, indent=1)})
    registry.log(tracked, params, metrics, pictures, {"figures.csv": done.table})


def _figures(summary: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {each["name"]: each["figures"] for each in summary["strategies"]}


def _validity(vault: VaultConfig, specs: Sequence[SeriesSpec]) -> Validity:
    legs = {asset.series for asset in vault.assets}
    return Validity.of_daily((spec.kind, timedelta(seconds=spec.max_age_s)) for spec in specs if spec.id in legs)


def _with_error(figure: Mapping[str, Any]) -> str:
    if figure["value"] is None:
        return ""
    error = "" if figure["standard_error"] is None else f" ± {figure['standard_error']:.4f}"
    return f"{figure['value']:.4f}{error}"


def _interval(figure: Mapping[str, Any]) -> str:
    if figure["value"] is None:
        return ""
    if figure["low"] is None or figure["high"] is None:
        return f"{figure['value']:+.4f}"
    return f"{figure['value']:+.4f} ({figure['low']:+.4f} to {figure['high']:+.4f})"
