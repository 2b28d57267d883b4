"""What a person may do to the ledger: ask for a version, or return to a former champion. Both are served at once.

There is no way around the gate: a version is promoted only on the stored evidence of its own evaluation, read again and
judged again. Only a version that was champion may come back without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from models.contracts.horizons import PROTOCOLS
from models.contracts.market import SeriesKind
from models.contracts.tables import ML_EVALUATIONS
from models.validation.expiry import MAX_AGE, is_expired
from models.validation.ledger import (
    TRAINED,
    Action,
    Entry,
    champion_at,
    crowning_of,
    model_name,
    predecessor,
    was_champion,
)
from models.volatility.bundle import load_bundle
from orchestration.issuing import Issued, Log, issue_in_turn
from orchestration.resources.ledger import add_entry, ledger_turn, read_ledger
from orchestration.resources.model_registry import BundleError, ModelRegistry, Version
from orchestration.resources.workspace import Workspace
from orchestration.standby import version_of
from orchestration.targets import issue_targets


class NotPossible(RuntimeError):
    """What was asked for makes no sense; the message says what does."""


class Refused(RuntimeError):
    """The evidence does not carry the version; the ledger has an entry that says so."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the champion and what was served anew because of it."""

    entry: Entry
    issued: Issued
    targets: int


def roll_back(
    workspace: Workspace, registry: ModelRegistry, name: str, to: str | None, reason: str, by: str, log: Log
) -> Change:
    """Return to a version that was champion (the one before, if not named) and issue its scores at once.

    The alias is left to the caller: it serves nobody, and MLflow takes seconds to start. Raises NotPossible.
    """
    run_id = f"rollback by {by}"
    with ledger_turn(workspace.warehouse):
        entries, now = _entries(workspace, name), workspace.now()
        champion = champion_at(entries, name, now)
        if champion is None:
            raise NotPossible(f"{name} never had a champion: `ballast models list` shows which models have")
        target = to or predecessor(entries, name, now)
        if target is None:
            raise NotPossible(f"{name} has no former champion: version {champion.model_version} is its first")
        if target == champion.model_version:
            raise NotPossible(f"version {target} is champion of {name} already")
        seen = crowning_of(entries, name, target)
        if seen is None or not was_champion(entries, name, target):
            raise NotPossible(f"version {target} was never champion of {name}: `ballast models promote` asks the gate")
        try:
            registry.bundle(version_of(seen))
        except BundleError as error:
            raise NotPossible(str(error)) from error
        draft = replace(
            seen, id=0, action=Action.ROLLED_BACK, replaced_version=champion.model_version, reason=reason, by=by, at=now
        )
        return _write_and_serve(workspace, registry, draft, run_id, log)


def promote(
    workspace: Workspace, registry: ModelRegistry, name: str, version: str, reason: str, by: str, log: Log
) -> Change:
    """Make a registered version champion if the gate accepts the evidence of its evaluation.

    Raises NotPossible where there is nothing to ask the gate, Refused (with an entry in the ledger) where it says no.
    """
    run_id = f"promotion by {by}"
    found = registry.version(name, version)
    if found is None:
        raise NotPossible(f"{name} has no version {version} in the registry")
    with ledger_turn(workspace.warehouse):
        entries, now = _entries(workspace, name), workspace.now()
        champion = champion_at(entries, name, now)
        if champion is not None and champion.model_version == version:
            raise NotPossible(f"version {version} is champion of {name} already")
        may_return = champion is not None and champion.action is Action.ROLLED_BACK
        if was_champion(entries, name, version) and not may_return:
            raise NotPossible(
                f"version {version} was champion before: `ballast models rollback {name} --to {version}` returns to "
                "it, and training does not undo that"
            )
        draft, objections = _judged(workspace, registry, entries, name, found, now)
        if objections:
            refused = replace(
                draft, action=Action.REFUSED, reason=f"{'; '.join(objections)} (asked for: {reason})", by=by
            )
            with workspace.warehouse.transaction() as connection:
                add_entry(connection, refused, run_id)
            raise Refused(f"{name} version {version} is refused: {'; '.join(objections)}")
        before = champion.model_version if champion is not None else None
        accepted = replace(draft, replaced_version=before, reason=f"{reason}; {draft.reason}", by=by)
        return _write_and_serve(workspace, registry, accepted, run_id, log)


def _judged(
    workspace: Workspace, registry: ModelRegistry, entries: Sequence[Entry], name: str, version: Version, now: datetime
) -> tuple[Entry, list[str]]:
    """The entry that would promote a version, and what speaks against it. The gate is asked anew: tags are words."""
    # Seconds of import that a rollback need not pay.
    from orchestration.assets.evaluation import decision_on, is_stored, other_evaluation
    from orchestration.assets.promotion import gate_evidence

    kind, horizon = _panel_of(name)
    draft = Entry(
        0, Action.PROMOTED, kind.value, horizon, name, version.version, version.algorithm, None, "",
        {"evaluation_id": version.evaluation_id}, "", now,
    )  # fmt: skip
    if not version.evaluation_id or not is_stored(workspace, version.evaluation_id):
        return draft, [f"its evaluation {version.evaluation_id or '(none named)'} is not stored: there is no evidence"]
    figures = workspace.warehouse.rows(
        f"select panel, horizon_days, data_hash, code_hash from {ML_EVALUATIONS} where evaluation_id = :id limit 1",
        {"id": version.evaluation_id},
    )[0]
    try:
        known = _registered(entries, version)
        placed = version_of(known) if known is not None else registry.placed(version)
        bundle = load_bundle(registry.bundle(placed))
    except (BundleError, OSError, ValueError, KeyError) as error:
        return draft, [f"its bundle cannot be read: {error}"]
    evaluated = SeriesKind(figures["panel"]), figures["horizon_days"], figures["data_hash"], figures["code_hash"]
    decision = decision_on(workspace, version.evaluation_id, other_evaluation(*evaluated))
    objections = []
    if (bundle.kind, bundle.horizon_days) != (kind, horizon):
        objections.append(f"it forecasts {bundle.kind.value} over {bundle.horizon_days} days")
    if (figures["panel"], figures["horizon_days"]) != (kind.value, horizon):
        objections.append(f"its evaluation is of {figures['panel']} over {figures['horizon_days']} days")
    if bundle.champion not in (decision.champion, decision.best_baseline):
        said = [why for why in decision.reasons if why.startswith(f"{bundle.champion} ")]
        objections += said or [f"the gate chose {decision.champion}, not {bundle.champion}"]
    trained_until = bundle.known_until.to_pydatetime()
    if is_expired(kind, trained_until, now):
        days, allowed = (now - trained_until).days, MAX_AGE[kind].degraded.days
        objections.append(f"its training data ended {days} days ago, {allowed} are allowed")
    evidence = gate_evidence(
        decision, version.evaluation_id, figures["data_hash"], figures["code_hash"], bundle, placed
    )
    before = known.evidence if known is not None else {}
    evidence = {**before, **evidence}
    judged = replace(draft, algorithm=bundle.champion, reason="; ".join(decision.reasons), evidence=evidence)
    return judged, objections


def _registered(entries: Sequence[Entry], version: Version) -> Entry | None:
    """The newest entry in which a training run spoke of a version: it knows the place and hash of the bundle."""
    own = [e for e in entries if e.model_version == version.version and e.action in TRAINED]
    return own[-1] if own else None


def _panel_of(name: str) -> tuple[SeriesKind, int]:
    """Kind and horizon of a model name. Raises NotPossible."""
    for kind, protocol in PROTOCOLS.items():
        for horizon in protocol.horizons:
            if model_name(kind, horizon) == name:
                return kind, horizon
    raise NotPossible(f"{name} is not the model of any panel")


def _write_and_serve(workspace: Workspace, registry: ModelRegistry, draft: Entry, run_id: str, log: Log) -> Change:
    """The entry, then scores of this model and targets; shadows wait for the next tick. The caller holds the turn: no
    tick comes between."""
    with workspace.warehouse.transaction() as connection:
        entry = add_entry(connection, draft, run_id)
    issued = issue_in_turn(workspace, registry, run_id, log, only=draft.model_name, with_shadows=False)
    _, targets = issue_targets(workspace, run_id)
    return Change(entry, issued, targets)


def _entries(workspace: Workspace, name: str) -> list[Entry]:
    with workspace.warehouse.transaction() as connection:
        return read_ledger(connection, name)
