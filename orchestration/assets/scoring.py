"""`risk.scores` and `risk.target_allocations`: the newest word on each series and vault, and what it asks of a vault.

Champions are loaded from the registry, and only those that the promotion ledger knows: an alias that was set by hand
does not serve. Rows are append-only; a score that was issued for a moment is not issued again.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import dagster as dg
import pandas as pd

from models.allocation.policy import propose_target
from models.contracts.horizons import PROTOCOLS
from models.contracts.market import DataMode, SeriesKind, SeriesSpec
from models.contracts.score import Score, ScoreStatus
from models.contracts.tables import ML_PREDICTIONS, ML_PROMOTIONS, RISK_SCORES, RISK_TARGET_ALLOCATIONS
from models.contracts.vault import VaultConfig
from models.risk.validity import Validity
from models.volatility.bundle import Bundle, load_bundle
from orchestration import keys
from orchestration.assets.promotion import model_name
from orchestration.assets.quality import markdown
from orchestration.panels import PANELS, Question, scoring_questions, vault_scoring_rows
from orchestration.resources import features
from orchestration.resources.model_registry import ModelRegistry, Version
from orchestration.resources.scores import as_row, latest_score, latest_state
from orchestration.resources.workspace import Workspace

APPROXIMATE = "approximate: built from its legs"
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

    Grain: one row a subject, horizon, moment, model version and status.
    """
    issued = score_all(workspace, promoted(workspace, registry, context.log), registry)
    added = workspace.warehouse.append_table(RISK_SCORES, [as_row(score, context.run_id) for score in issued])
    forecasts = [_prediction(score, context.run_id) for score in issued if score.rv_forecast is not None]
    workspace.warehouse.append_table(ML_PREDICTIONS, forecasts)
    by_status = pd.Series([str(score.status) for score in issued], dtype=object).value_counts()
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": added,
            "scored": len(issued),
            **{f"status_{status}": int(count) for status, count in by_status.items()},
            "scores": dg.MetadataValue.md(markdown(_table(issued[:_SHOWN]))),
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

    Grain: one row a vault, policy version and moment of the score.
    """
    now, rows = workspace.now(), []
    for vault in workspace.vaults():
        horizon = PROTOCOLS[SeriesKind.VAULT].horizons[0]
        score, score_id = latest_score(workspace.warehouse, f"vault:{vault.id}", horizon)
        before = score.as_of if score is not None else now
        target = propose_target(vault, score, latest_state(workspace.warehouse, vault.id, before), now)
        rows.append(
            {
                "vault_id": vault.id,
                "as_of": target.as_of,
                "issued_at": now,
                "valid_until": score.valid_until if score is not None else now,
                "state": target.state.value,
                "weights": {symbol: str(weight) for symbol, weight in target.weights.items()},
                "score": target.score,
                "score_id": score_id,
                "model_version": score.model_version if score is not None else "none",
                "policy_version": target.policy_version,
                "reasons": [str(reason) for reason in target.reasons],
                "data_mode": workspace.mode.value,
                "share_imputed": score.share_imputed if score is not None else 1.0,
                "degraded": not target.usable,
                "run_id": context.run_id,
            }
        )
    added = workspace.warehouse.append_table(RISK_TARGET_ALLOCATIONS, rows)
    shown = [{k: row[k] for k in ("vault_id", "as_of", "state", "weights", "score", "reasons")} for row in rows]
    return dg.MaterializeResult(
        metadata={"dagster/row_count": added, "targets": dg.MetadataValue.json([_texts(row) for row in shown])}
    )


def promoted(workspace: Workspace, registry: ModelRegistry, log: Any) -> dict[str, Version]:
    """Champions that the gate promoted, by model name."""
    ledger = workspace.warehouse.rows(f"select distinct model_name, model_version from {ML_PROMOTIONS}")
    known = {(row["model_name"], row["model_version"]) for row in ledger}
    found = {}
    for name, version in registry.champions().items():
        if (name, version.version) in known:
            found[name] = version
        else:
            log.warning(f"{name} version {version.version} carries the champion alias but no promotion: not used")
    return found


def score_all(workspace: Workspace, champions: Mapping[str, Version], registry: ModelRegistry) -> list[Score]:
    """Scores of all subjects and horizons, in a fixed order."""
    now = workspace.now()
    specs = [spec for spec in workspace.series() if spec.scored]
    newest = features.newest(workspace.warehouse, [spec.id for spec in specs], now)
    fresh = {spec.id: Validity.of(spec.kind, timedelta(seconds=spec.max_age_s)) for spec in specs}
    stale = {series for series, moment in newest.items() if fresh[series].until(moment) < now}
    issued: list[Score] = []
    for kind in PANELS:
        if kind is SeriesKind.VAULT:
            questions, valid, shares = _vault_panel(workspace, specs, newest, stale)
        else:
            of_kind = {spec.id: newest[spec.id] for spec in specs if spec.kind is kind and spec.id in newest}
            questions = scoring_questions(workspace.warehouse, kind, of_kind)
            valid, shares = fresh, {series: float(series in stale) for series in of_kind}
        if not questions:
            continue
        for horizon in PROTOCOLS[kind].horizons:
            version = champions.get(model_name(kind, horizon))
            bundle = load_bundle(registry.bundle(version)) if version is not None else None
            of_horizon = [
                score
                for question in questions
                for score in _issue(workspace.mode, now, question, horizon, version, bundle, valid, shares)
            ]
            issued += sorted(of_horizon, key=lambda score: score.subject)
    return issued


def _vault_panel(
    workspace: Workspace, specs: Sequence[SeriesSpec], newest: Mapping[str, datetime], stale: set[str]
) -> tuple[list[Question], dict[str, Validity], dict[str, float]]:
    known = {spec.id: (spec.kind, timedelta(seconds=spec.max_age_s)) for spec in specs}
    questions, valid, shares = [], {}, {}
    for vault in workspace.vaults():
        rows = vault_scoring_rows(workspace.warehouse, vault, specs, newest)
        if len(rows):
            subject = f"vault:{vault.id}"
            questions.append(Question(rows, frozenset({subject})))
            valid[subject] = Validity.of_vault(known[a.series] for a in vault.assets if a.series is not None)
            shares[subject] = _share(vault, stale)
    return questions, valid, shares


def _share(vault: VaultConfig, stale: set[str]) -> float:
    """Share of a vault's risky base weight whose series is stale."""
    risky = [asset for asset in vault.assets if not asset.stable]
    total = sum(asset.base_weight for asset in risky)
    return float(sum(asset.base_weight for asset in risky if asset.series in stale) / total) if total else 0.0


def _issue(
    mode: DataMode,
    now: datetime,
    question: Question,
    horizon: int,
    version: Version | None,
    bundle: Bundle | None,
    valid: Mapping[str, Validity],
    shares: Mapping[str, float],
) -> list[Score]:
    """One score a series that is asked. Each is judged at its own last row: how old that is, `valid_until` says."""
    rows = question.rows
    if bundle is None or version is None:
        last = rows.groupby("series")["as_of"].max()
        return [
            _no_model(str(series), moment.to_pydatetime(), horizon, now, valid[str(series)], shares[str(series)], mode)
            for series, moment in last.items()
            if series in question.asked
        ]
    return [
        Score(
            subject=row["series"],
            horizon_days=horizon,
            as_of=row["as_of"].to_pydatetime(),
            issued_at=now,
            valid_until=valid[row["series"]].until(row["as_of"].to_pydatetime()),
            status=ScoreStatus(row["status"]),
            reasons=(*row["reasons"], *caveats(rows, row["series"])),
            score=_number(row["score"]),
            p_spike=_number(row["p_spike"]),
            rv_forecast=_number(row["rv_forecast"]),
            sigma_ann=_number(row["sigma_ann"]),
            var99=_number(row["var99"]),
            es99=_number(row["es99"]),
            model_name=version.name,
            model_version=version.version,
            data_mode=mode,
            share_imputed=float(row["share_imputed"]),
            share_stale=shares[row["series"]],
            drivers=tuple(row["drivers"]),
        )
        for row in bundle.predict(rows).to_dict("records")
        if row["series"] in question.asked
    ]


def caveats(rows: pd.DataFrame, subject: str) -> tuple[str, ...]:
    """What a reader of a score must know, although it lessens no trust in it."""
    is_approximate = "approximate" in rows and rows.loc[rows["series"] == subject, "approximate"].any()
    return (APPROXIMATE,) if is_approximate else ()


def _no_model(
    subject: str, as_of: datetime, horizon: int, now: datetime, validity: Validity, share_stale: float, mode: DataMode
) -> Score:
    return Score(
        subject=subject, horizon_days=horizon, as_of=as_of, issued_at=now, valid_until=validity.until(as_of),
        status=ScoreStatus.INSUFFICIENT_DATA, reasons=("no model of this panel has been promoted yet",),
        score=None, p_spike=None, rv_forecast=None, sigma_ann=None, var99=None, es99=None, model_name="none",
        model_version="none", data_mode=mode, share_imputed=0.0, share_stale=share_stale,
    )  # fmt: skip


def _number(value: Any) -> float | None:
    return None if value is None or value != value else float(value)


def _prediction(score: Score, run_id: str) -> dict[str, Any]:
    return {
        "series": score.subject, "horizon_days": score.horizon_days, "as_of": score.as_of,
        "issued_at": score.issued_at, "model_name": score.model_name, "model_version": score.model_version,
        "rv_forecast": score.rv_forecast, "p_spike": score.p_spike, "score": score.score, "var99": score.var99,
        "es99": score.es99, "data_mode": score.data_mode.value, "run_id": run_id,
    }  # fmt: skip


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
