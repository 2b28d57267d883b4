"""`ml.promotions`: fit what the gate chose, register it with its shadows, and write down whether it may serve and why.

The ledger decides who is champion, the alias in the registry follows it. Here the training run writes to the ledger;
what a person may write is `orchestration.by_hand`. A killed run is finished by the next one: it finds the registered
version of the same evaluation again, and sets an alias that was left behind.

The gate judges years. What it chose gives way to a baseline while it fails its newest outcomes
(`models.validation.succession`), unless a person's rollback is still to be respected.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from models.contracts.score import Role
from models.validation.gate import GateDecision
from models.validation.ledger import (
    CROWNING,
    GATE,
    TRAINED,
    Action,
    Entry,
    champion_at,
    has_fallen_back,
    model_name,
    pin,
)
from models.validation.succession import Succession, succession
from models.volatility.bundle import Bundle, load_bundle
from models.volatility.bundle_fit import FITTED_TO, fit_bundle
from models.volatility.members import BASELINES
from orchestration import keys, served_rows
from orchestration.assets.evaluation import Work, decision_of, is_stored, read_forecasts, works
from orchestration.leak_verdicts import judge
from orchestration.model_page import describe
from orchestration.resources.ledger import add_entry, ledger_turn, read_ledger
from orchestration.resources.model_registry import BUNDLE, ModelRegistry, Version, files_hash
from orchestration.resources.workspace import Workspace
from orchestration.standby import SHADOW, version_of


class ReloadMismatch(RuntimeError):
    """A registered bundle does not predict what it predicted before it was stored; it must not serve."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A registered version with the bundle's last training day and what the gate saw."""

    version: Version
    evidence: dict[str, Any]


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

    Grain of ml.promotions: one row a change of the champion, or a version that was held, refused or found expired.
    """
    added, lines = 0, []
    for work in works(workspace):
        name = model_name(work.kind, work.horizon_days)
        if not is_stored(workspace, work.id):
            lines.append(f"{name}: its data or code has changed since the last evaluation, nothing is decided on that")
            continue
        (said,) = judge(workspace, work)
        if not said.passed:
            lines.append(f"{name}: refused, it looks ahead: {'; '.join(said.offenders)}")
            continue
        forecasts, decision = read_forecasts(workspace, work.id), decision_of(workspace, work)
        entry, told = decide_and_write(workspace, registry, work, forecasts, decision, context.run_id)
        added += entry is not None
        lines.append(f"{name}: {told}")
    repair_aliases(workspace, registry)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": added,
            "models": len(lines),
            "champions": dg.MetadataValue.md("\n".join(f"- {line}" for line in lines) or "nothing to train on yet"),
        }
    )


def decide_and_write(
    workspace: Workspace,
    registry: ModelRegistry,
    work: Work,
    forecasts: pd.DataFrame,
    decision: GateDecision,
    run_id: str,
) -> tuple[Entry | None, str]:
    """Bring the ledger up to an evaluation: the new entry, None where nothing changes, and what became of it."""
    name, now = model_name(work.kind, work.horizon_days), workspace.now()
    entries = _entries(workspace, name)
    serving = champion_at(entries, name, now)
    if serving is not None and serving.evidence.get("evaluation_id") == work.id:
        return None, f"version {serving.model_version}, {serving.algorithm}: {serving.reason}"
    held = pin(entries, name, work.kind, now)
    too_fresh = held is not None and work.rows["as_of"].max() < held.until
    known = _known(entries, work.id)
    if held is not None and too_fresh and known is not None:
        return None, f"version {known.version.version} is not promoted: {_still_pinned(held.until)}"
    next_one = succession(decision, forecasts, has_fallen_back(entries, name, now))
    # A rollback is a person's word: until it may be undone, the gate's choice waits and nothing falls back.
    algorithm = decision.champion if too_fresh else next_one.algorithm
    told = replace(decision, reasons=_reasons(decision, next_one))
    candidate = _known(entries, work.id, algorithm) or make_candidate(
        registry, workspace, work, told, forecasts, algorithm
    )
    reason = "; ".join(told.reasons)
    if held is not None and too_fresh:
        reason = f"accepted by the gate, but {_still_pinned(held.until)}; {reason}"
    action = Action.HELD if too_fresh else Action.FELL_BACK if next_one.fell_back else Action.PROMOTED
    evidence = {**candidate.evidence, **next_one.evidence()}
    draft = Entry(
        id=0, action=action, panel=work.kind.value, horizon_days=work.horizon_days, model_name=name,
        model_version=candidate.version.version, algorithm=algorithm, replaced_version=None, reason=reason,
        evidence=evidence, by=GATE, at=now,
    )  # fmt: skip
    return write_entry(workspace, draft, run_id), f"version {draft.model_version}, {draft.algorithm}: {reason}"


def write_entry(workspace: Workspace, draft: Entry, run_id: str) -> Entry:
    """Add an entry, with the version it replaces if it makes a champion."""
    with ledger_turn(workspace.warehouse), workspace.warehouse.transaction() as connection:
        before = champion_at(read_ledger(connection, draft.model_name), draft.model_name, draft.at)
        replaced = before.model_version if draft.action in CROWNING and before is not None else None
        return add_entry(connection, replace(draft, replaced_version=replaced), run_id)


def repair_aliases(workspace: Workspace, registry: ModelRegistry) -> None:
    """Let the alias of each model say what the ledger says: a killed run, or a hand, may have left another."""
    entries, now, shown = _entries(workspace), workspace.now(), registry.champions()
    for name in sorted({entry.model_name for entry in entries}):
        champion = champion_at(entries, name, now)
        if champion is None:
            continue
        alias = shown.get(name)
        if alias is None or alias.version != champion.model_version:
            registry.promote(version_of(champion))


def shadows_of(decision: GateDecision, algorithm: str) -> dict[Role, str]:
    """Members that are fitted beside the one that serves (`algorithm`) to be judged in shadow: the best baseline, and
    the gate's choice that gave way, else the challenger with the lowest loss. A best baseline that serves has no other
    beside it."""
    found = {}
    if decision.best_baseline != algorithm:
        found[Role.BASELINE] = decision.best_baseline
    others = decision.table[~decision.table["model"].isin([*BASELINES, algorithm])]
    if algorithm != decision.champion:
        found[Role.CHALLENGER] = decision.champion
    elif len(others):
        found[Role.CHALLENGER] = str(others.sort_values(["qlike", "model"])["model"].iloc[0])
    return found


def make_candidate(
    registry: ModelRegistry,
    workspace: Workspace,
    work: Work,
    decision: GateDecision,
    forecasts: pd.DataFrame,
    algorithm: str,
) -> Candidate:
    """Fit, register and prove the member that an evaluation leads to, with its shadows in the same version."""
    roles = shadows_of(decision, algorithm)
    run, known = workspace.runner(len(work.rows)), forecasts[list(FITTED_TO)]
    champion, *others = run(
        [
            partial(fit_bundle, work.rows, work.kind, work.horizon_days, member, known)
            for member in (algorithm, *roles.values())
        ]
    )
    shadows = {role.value: bundle for role, bundle in zip(roles, others, strict=True)}
    name = model_name(work.kind, work.horizon_days)
    version = registry.placed(_register(registry, workspace, work, champion, shadows, name))
    try:
        describe(workspace.warehouse, registry, version, work, champion, decision, forecasts, tuple(roles.values()))
    except Exception as error:  # noqa: BLE001 - a page that lacks a picture must not keep a model from serving
        dg.get_dagster_logger().warning(f"{name}: no model card: {type(error).__name__}: {error}")
    evidence = gate_evidence(decision, work.id, work.data, work.code, champion, version)
    stored = registry.bundle(version)
    evidence["shadows"] = {role: bundle.champion for role, bundle in shadows.items()}
    # So that a baseline can still be trusted where the files of the champion beside it cannot.
    evidence["shadow_hashes"] = {role: files_hash(stored / SHADOW / role) for role in shadows}
    return Candidate(version, evidence)


def gate_evidence(
    decision: GateDecision, evaluation: str, data: str, code: str, bundle: Bundle, version: Version
) -> dict[str, Any]:
    """What the gate saw and what it saw it of, as the ledger keeps it."""
    return {
        "evaluation_id": evaluation,
        "data_hash": data,
        "code_hash": code,
        "dates": decision.dates,
        "gate": _records(decision.table),
        "best_baseline": decision.best_baseline,
        "trained_until": bundle.known_until.isoformat(),
        "mlflow_run_id": version.run_id,
        "bundle": version.place,
        "bundle_hash": version.digest,
    }


def _register(
    registry: ModelRegistry, workspace: Workspace, work: Work, bundle: Bundle, shadows: dict[str, Bundle], name: str
) -> Version:
    """Store the bundle as a version and prove that it comes back the same, for one series and for all."""
    answer = bundle.predict(work.rows)
    with tempfile.TemporaryDirectory(dir=workspace.settings.workspace, prefix="bundle-") as folder:
        path = Path(folder) / BUNDLE
        path.mkdir()
        bundle.save(path)
        for role, shadow in shadows.items():
            (path / SHADOW / role).mkdir(parents=True)
            shadow.save(path / SHADOW / role)
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
    stored = registry.bundle(version)
    alone = work.rows[work.rows["series"] == answer["series"].iloc[0]]
    # One series alone is another question to a pooled model, so both are put to the bundle as it was before.
    _prove(stored, work.rows, answer, version)
    _prove(stored, alone, bundle.predict(alone), version)
    for role, shadow in shadows.items():
        _prove(stored / SHADOW / role, work.rows, shadow.predict(work.rows), version)
    return version


def _prove(folder: Path, rows: pd.DataFrame, expected: pd.DataFrame, version: Version) -> None:
    if not served_rows.answer(load_bundle(folder).predict(rows)).equals(served_rows.answer(expected)):
        raise ReloadMismatch(f"{version.name} version {version.version} predicts otherwise after it was stored")


def _entries(workspace: Workspace, name: str | None = None) -> list[Entry]:
    with workspace.warehouse.transaction() as connection:
        return read_ledger(connection, name)


def _known(entries: Sequence[Entry], evaluation: str, algorithm: str | None = None) -> Candidate | None:
    """The version that an evaluation has led to before (of this algorithm), by the newest entry about it."""
    for entry in reversed(entries):
        is_of_it = entry.action in TRAINED and entry.evidence.get("evaluation_id") == evaluation
        if is_of_it and algorithm in (None, entry.algorithm):
            return Candidate(version_of(entry), dict(entry.evidence))
    return None


def _reasons(decision: GateDecision, next_one: Succession) -> tuple[str, ...]:
    """The gate's, and what the newest outcomes say of its choice; first, where that decides."""
    if next_one.look is None:
        return decision.reasons
    lately = f"{next_one.chosen} lately: {next_one.look.reason}"
    return (lately, *decision.reasons) if next_one.fell_back else (*decision.reasons, lately)


def _still_pinned(until: datetime) -> str:
    return f"a rollback holds until data reaches {until:%Y-%m-%d}"


def _records(table: pd.DataFrame) -> list[dict[Any, Any]]:
    """JSON rows: a missing figure is null."""
    return [{k: None if v != v else v for k, v in row.items()} for row in table.to_dict("records")]
