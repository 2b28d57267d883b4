"""Issuing scores: who speaks by the ledger, what is asked of whom, and the rows that come out.

Called by the asset of each tick and by a rollback, which cannot wait for the next one. Forecasts in shadow are made
from the same rows; they reach `ml.predictions` only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from models.contracts.horizons import PROTOCOLS
from models.contracts.market import DataMode, SeriesKind, SeriesSpec
from models.contracts.score import Role, Score, ScoreStatus
from models.contracts.tables import ML_PREDICTIONS, RISK_SCORES
from models.contracts.vault import VaultConfig
from models.risk.validity import Validity
from models.validation.expiry import expiry
from models.validation.ledger import Action, Entry, champion_at, contender, model_name
from models.volatility.bundle import Bundle, load_bundle
from models.volatility.confidence import confidence
from orchestration.confirmation import sources_of, sources_of_vault
from orchestration.histories import with_tails
from orchestration.panels import PANELS, Question, scoring_questions, vault_scoring_rows
from orchestration.resources import features
from orchestration.resources.ledger import add_entry, ledger_turn, read_ledger
from orchestration.resources.model_registry import BundleError, ModelRegistry, Version
from orchestration.resources.scores import as_prediction, as_row
from orchestration.resources.workspace import Workspace
from orchestration.score_inputs import record_inputs

APPROXIMATE = "approximate: built from its legs"
NO_MODEL = "no model of this panel has been promoted yet"
SHADOW = "shadow"  # folder of a bundle with one bundle for each role that is not served
CLOCK = "clock"  # who writes an expiry into the ledger
_NUMBERS = ("score", "p_spike", "rv_forecast", "sigma_ann", "var99", "es99", "rv_low", "rv_high")


class Log(Protocol):
    """Where a tick says what a person should know."""

    def warning(self, message: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Serving:
    """A champion by the ledger, and the version that waits beside it after a rollback."""

    version: Version
    promotion_id: int
    contender: Version | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """What is asked of one model at this tick. `bundle`: None where no model may speak, `why` says so."""

    kind: SeriesKind
    horizon: int
    questions: Sequence[Question]
    valid: Mapping[str, Validity]
    shares: Mapping[str, float]
    sources: Mapping[str, int]
    serving: Serving | None
    bundle: Bundle | None
    why: str = NO_MODEL


@dataclass(frozen=True, slots=True)
class Issued:
    """What a tick said. `added`: new rows of `risk.scores`; `shadows`: forecasts beside them, new or not."""

    scores: tuple[Score, ...]
    added: int
    shadows: int


def version_of(entry: Entry) -> Version:
    """The version that an entry of the ledger speaks of, with the place and hash of its bundle where it names them."""
    seen = entry.evidence
    return Version(
        entry.model_name,
        entry.model_version,
        str(seen.get("mlflow_run_id") or ""),
        str(seen.get("evaluation_id") or ""),
        entry.algorithm,
        str(seen.get("bundle") or ""),
        str(seen.get("bundle_hash") or ""),
    )


def serving_models(entries: Sequence[Entry], now: datetime) -> dict[str, Serving]:
    """Champions by model name, as the ledger has them at `now`."""
    found = {}
    for name in sorted({entry.model_name for entry in entries}):
        champion, waiting = champion_at(entries, name, now), contender(entries, name, now)
        if champion is not None:
            waits = version_of(waiting) if waiting is not None else None
            found[name] = Serving(version_of(champion), champion.id, waits)
    return found


def issue(workspace: Workspace, registry: ModelRegistry, run_id: str, log: Log, only: str | None = None) -> Issued:
    """Score all subjects with the champions of now, or those of one model; store the scores, then the shadows.

    What was said before by the same entry of the ledger is not said again.
    """
    house = workspace.warehouse
    with ledger_turn(house):
        return issue_in_turn(workspace, registry, run_id, log, only)


def issue_in_turn(
    workspace: Workspace,
    registry: ModelRegistry,
    run_id: str,
    log: Log,
    only: str | None = None,
    with_shadows: bool = True,
) -> Issued:
    """`issue` for a caller that holds the turn already (it has changed the ledger)."""
    house, now = workspace.warehouse, workspace.now()
    with house.transaction() as connection:
        entries = read_ledger(connection)
    asked = list(panels(workspace, serving_models(entries, now), registry, log, only))
    scores = with_tails(workspace, score_all(workspace.mode, now, asked), now, log.warning)
    speaking = {panel.serving.version.name: panel.serving for panel in asked if panel.serving and panel.bundle}
    rows = [as_row(s, run_id, _promotion(speaking, s)) for s in scores]
    added = house.append_table(RISK_SCORES, rows)
    record_inputs(workspace, _given_to_vaults(asked), now, run_id)
    said = [
        as_prediction(s, run_id, Role.CHAMPION, speaking[s.model_name].version.algorithm)
        for s in scores
        if s.rv_forecast is not None
    ]
    house.append_table(ML_PREDICTIONS, said)
    _note_expiries(workspace, entries, asked, now, run_id)
    try:
        shadows = _issue_shadows(workspace, registry, asked, now, run_id, log) if with_shadows else 0
    except Exception as error:  # noqa: BLE001 - what nobody acts on must not stop what a vault waits for
        log.warning(f"no forecasts in shadow: {type(error).__name__}: {error}")
        shadows = 0
    return Issued(tuple(scores), added, shadows)


def panels(
    workspace: Workspace, models: Mapping[str, Serving], registry: ModelRegistry, log: Log, only: str | None = None
) -> Iterator[Panel]:
    """What is asked of each model, in a fixed order; a panel without rows is left out."""
    now = workspace.now()
    specs = [spec for spec in workspace.series() if spec.scored]
    newest = features.newest(workspace.warehouse, [spec.id for spec in specs], now)
    fresh = {spec.id: Validity.of(spec.kind, timedelta(seconds=spec.max_age_s)) for spec in specs}
    stale = {series for series, moment in newest.items() if fresh[series].until(moment) < now}
    sources = sources_of(specs, newest.keys() - stale)
    for kind in PANELS:
        horizons = [h for h in PROTOCOLS[kind].horizons if only in (None, model_name(kind, h))]
        if not horizons:
            continue
        if kind is SeriesKind.VAULT:
            questions, valid, shares = _vault_questions(workspace, specs, newest, stale)
            sources |= {f"vault:{vault.id}": sources_of_vault(vault, sources) for vault in workspace.vaults()}
        else:
            of_kind = {spec.id: newest[spec.id] for spec in specs if spec.kind is kind and spec.id in newest}
            questions = scoring_questions(workspace.warehouse, kind, of_kind)
            valid, shares = fresh, {series: float(series in stale) for series in of_kind}
        if not questions:
            continue
        for horizon in horizons:
            serving = models.get(model_name(kind, horizon))
            bundle, why = _loaded(registry, serving, log)
            yield Panel(kind, horizon, questions, valid, shares, sources, serving, bundle, why)


def score_all(mode: DataMode, now: datetime, asked: Sequence[Panel]) -> list[Score]:
    """Scores of all subjects and horizons, in a fixed order."""
    issued: list[Score] = []
    for panel in asked:
        found = [score for question in panel.questions for score in _answer(mode, now, panel, question)]
        issued += sorted(found, key=lambda score: score.subject)
    return issued


def caveats(rows: pd.DataFrame, subject: str) -> tuple[str, ...]:
    """What a reader of a score must know, although it lessens no trust in it."""
    is_approximate = "approximate" in rows and rows.loc[rows["series"] == subject, "approximate"].any()
    return (APPROXIMATE,) if is_approximate else ()


def aged(score: Score, kind: SeriesKind, trained_until: datetime) -> Score:
    """A score after a look at the age of its model: less trusted, or without its numbers."""
    found = expiry(kind, trained_until, score.as_of) if score.rv_forecast is not None else None
    if found is None:
        return score
    status, reason = found
    told = replace(score, status=status, reasons=(*score.reasons, reason))
    if status is ScoreStatus.DEGRADED:
        return told
    nothing: dict[str, Any] = dict.fromkeys((*_NUMBERS, "confidence"))
    return replace(told, **nothing, drivers=())


def _given_to_vaults(asked: Sequence[Panel]) -> dict[str, pd.DataFrame]:
    """Rows that the models of vaults were given, by subject."""
    of_vaults = (panel for panel in asked if panel.kind is SeriesKind.VAULT)
    return {subject: each.rows for panel in of_vaults for each in panel.questions for subject in each.asked}


def _promotion(speaking: Mapping[str, Serving], score: Score) -> int:
    return speaking[score.model_name].promotion_id if score.model_name in speaking else 0


def _loaded(registry: ModelRegistry, serving: Serving | None, log: Log) -> tuple[Bundle | None, str]:
    """The champion's bundle, or why there is none: one broken model must not silence the others."""
    if serving is None:
        return None, NO_MODEL
    try:
        return load_bundle(registry.bundle(serving.version)), ""
    except BundleError as error:
        log.warning(f"{serving.version.name} cannot speak: {error}")
        return None, str(error)


def _vault_questions(
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


def _answer(mode: DataMode, now: datetime, panel: Panel, question: Question) -> list[Score]:
    """One score a series that is asked. Each is judged at its own last row: how old that is, `valid_until` says."""
    if panel.bundle is None or panel.serving is None:
        last = question.rows.groupby("series")["as_of"].max()
        return [
            _no_model(str(series), moment.to_pydatetime(), now, panel, mode)
            for series, moment in last.items()
            if series in question.asked
        ]
    trained_until = panel.bundle.known_until.to_pydatetime()
    spoken = _speak(mode, now, panel, question, panel.bundle, panel.serving.version)
    return [aged(score, panel.kind, trained_until) for score in spoken]


def _speak(
    mode: DataMode, now: datetime, panel: Panel, question: Question, bundle: Bundle, version: Version
) -> list[Score]:
    return [
        Score(
            subject=row["series"],
            horizon_days=panel.horizon,
            as_of=row["as_of"].to_pydatetime(),
            issued_at=now,
            valid_until=panel.valid[row["series"]].until(row["as_of"].to_pydatetime()),
            status=ScoreStatus(row["status"]),
            reasons=(*row["reasons"], *caveats(question.rows, row["series"])),
            **{name: _number(row[name]) for name in _NUMBERS},
            model_name=version.name,
            model_version=version.version,
            data_mode=mode,
            share_imputed=float(row["share_imputed"]),
            share_stale=panel.shares[row["series"]],
            confidence=_confidence(panel, row),
            drivers=tuple(row["drivers"]),
        )
        for row in bundle.predict(question.rows).to_dict("records")
        if row["series"] in question.asked
    ]


def _confidence(panel: Panel, row: Mapping[Any, Any]) -> float | None:
    """None without a number, or where training saw too little to know what is familiar."""
    if _number(row["rv_forecast"]) is None or _number(row["familiarity"]) is None:
        return None
    series = row["series"]
    return confidence(
        float(row["share_imputed"]), panel.shares[series], float(row["familiarity"]), panel.sources[series]
    )


def _no_model(subject: str, as_of: datetime, now: datetime, panel: Panel, mode: DataMode) -> Score:
    return Score(
        subject=subject, horizon_days=panel.horizon, as_of=as_of, issued_at=now,
        valid_until=panel.valid[subject].until(as_of), status=ScoreStatus.INSUFFICIENT_DATA, reasons=(panel.why,),
        score=None, p_spike=None, rv_forecast=None, sigma_ann=None, var99=None, es99=None, model_name="none",
        model_version="none", data_mode=mode, share_imputed=0.0, share_stale=panel.shares[subject],
    )  # fmt: skip


def _number(value: Any) -> float | None:
    return None if value is None or value != value else float(value)


def _issue_shadows(
    workspace: Workspace, registry: ModelRegistry, asked: Sequence[Panel], now: datetime, run_id: str, log: Log
) -> int:
    """Forecasts of the best baseline and the challenger of each model, on the rows that the champion had."""
    rows: list[dict[str, Any]] = []
    for panel in asked:
        if panel.serving is None or panel.bundle is None:
            continue
        for role, version, folder in shadow_folders(registry, panel.serving, log):
            bundle = load_bundle(folder)
            for question in panel.questions:
                spoken = _speak(workspace.mode, now, panel, question, bundle, version)
                said = [aged(score, panel.kind, bundle.known_until.to_pydatetime()) for score in spoken]
                rows += [as_prediction(s, run_id, role, bundle.champion) for s in said if s.rv_forecast is not None]
    workspace.warehouse.append_table(ML_PREDICTIONS, rows)
    return len(rows)


def shadow_folders(registry: ModelRegistry, serving: Serving, log: Log) -> Iterator[tuple[Role, Version, Path]]:
    """Bundles that speak beside a champion. After a rollback the version that waits is the challenger."""
    own = registry.bundle(serving.version) / SHADOW
    for role in (Role.BASELINE, Role.CHALLENGER):
        if role is Role.CHALLENGER and serving.contender is not None:
            try:
                yield role, serving.contender, registry.bundle(serving.contender)
            except BundleError as error:
                log.warning(f"no challenger in shadow: {error}")
        elif (own / role.value).is_dir():
            yield role, serving.version, own / role.value


def _note_expiries(
    workspace: Workspace, entries: Sequence[Entry], asked: Sequence[Panel], now: datetime, run_id: str
) -> None:
    """Write down, once for each time in office, that a champion has become too old."""
    for panel in asked:
        if panel.serving is None or panel.bundle is None:
            continue
        trained_until = panel.bundle.known_until.to_pydatetime()
        asked_until = max(question.rows["as_of"].max() for question in panel.questions).to_pydatetime()
        found = expiry(panel.kind, trained_until, asked_until)
        name, since = panel.serving.version.name, panel.serving.promotion_id
        if found is None or any(
            e.action is Action.EXPIRED and e.model_name == name and e.evidence.get("promotion_id") == since
            for e in entries
        ):
            continue
        champion = next(entry for entry in entries if entry.id == since)
        noted = replace(
            champion, id=0, action=Action.EXPIRED, replaced_version=None, reason=found[1], by=CLOCK, at=now,
            evidence={"promotion_id": since, "trained_until": trained_until.isoformat()},
        )  # fmt: skip
        with workspace.warehouse.transaction() as connection:
            add_entry(connection, noted, run_id)
