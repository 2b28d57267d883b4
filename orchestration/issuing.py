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
from models.contracts.score import Role, Rung, Score, ScoreStatus
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
from orchestration.standby import SHADOW, Speaker, speaker, version_of

APPROXIMATE = "approximate: built from its legs"
NO_MODEL = "no model of this panel has been promoted yet"
STANDBY = "a baseline speaks in the place of the champion"
CLOCK = "clock"  # who writes an expiry into the ledger
_NUMBERS = ("score", "p_spike", "rv_forecast", "sigma_ann", "var99", "es99", "rv_low", "rv_high")


class Log(Protocol):
    """Where a tick says what a person should know."""

    def warning(self, message: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Serving:
    """A champion by the ledger, and the version that waits beside it after a rollback. `entry`, `before`: what the
    ledger says of it and of its model, for those who look for somebody to speak in its place."""

    version: Version
    promotion_id: int
    contender: Version | None = None
    entry: Entry | None = None
    before: Sequence[Entry] = ()


@dataclass(frozen=True, slots=True)
class Panel:
    """What is asked of one model at this tick. `bundle`: None where no model may speak, `why` says so. `standby`: why
    another than the champion speaks, empty if it is the champion; `rung`: who it is then."""

    kind: SeriesKind
    horizon: int
    questions: Sequence[Question]
    valid: Mapping[str, Validity]
    shares: Mapping[str, float]
    sources: Mapping[str, int]
    serving: Serving | None
    bundle: Bundle | None
    why: str = NO_MODEL
    rung: Rung = Rung.CHAMPION
    standby: str = ""


@dataclass(frozen=True, slots=True)
class Issued:
    """What a tick said. `added`: new rows of `risk.scores`; `shadows`: forecasts beside them, new or not."""

    scores: tuple[Score, ...]
    added: int
    shadows: int


def serving_models(entries: Sequence[Entry], now: datetime) -> dict[str, Serving]:
    """Champions by model name, as the ledger has them at `now`."""
    found = {}
    for name in sorted({entry.model_name for entry in entries}):
        champion, waiting = champion_at(entries, name, now), contender(entries, name, now)
        if champion is not None:
            waits = version_of(waiting) if waiting is not None else None
            found[name] = Serving(version_of(champion), champion.id, waits, champion, entries)
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
    rungs = {panel.serving.version.name: panel.rung for panel in asked if panel.serving and panel.bundle}
    rows = [as_row(s, run_id, _promotion(speaking, s), rungs.get(s.model_name, Rung.NONE)) for s in scores]
    added = house.append_table(RISK_SCORES, rows)
    record_inputs(workspace, _given_to_vaults(asked), now, run_id)
    # A standby says what it says in shadow on other days, too: it is no record of the champion.
    standby = {p.serving.version.name: p.bundle.champion for p in asked if p.serving and p.bundle and p.standby}
    said = [
        as_prediction(s, run_id, Role.BASELINE, standby[s.model_name])
        if s.model_name in standby
        else as_prediction(s, run_id, Role.CHAMPION, speaking[s.model_name].version.algorithm)
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
            found, why = _loaded(registry, serving, log)
            yield Panel(
                kind, horizon, questions, valid, shares, sources, serving, found.bundle if found else None, why,
                found.rung if found else Rung.NONE, found.why if found else "",
            )  # fmt: skip


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


def _loaded(registry: ModelRegistry, serving: Serving | None, log: Log) -> tuple[Speaker | None, str]:
    """Who speaks, or why nobody does: one broken model must not silence the others."""
    if serving is None or serving.entry is None:
        return None, NO_MODEL
    try:
        found = speaker(registry, serving.entry, serving.before)
    except BundleError as error:
        log.warning(f"{serving.version.name} cannot speak: {error}")
        return None, str(error)
    if found.why:
        log.warning(f"{serving.version.name}: {found.bundle.champion} of version {found.version.version} speaks "
                    f"in the place of the champion: {found.why}")  # fmt: skip
    return found, ""


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
    return [_less_trusted(aged(score, panel.kind, trained_until), panel) for score in spoken]


def _less_trusted(score: Score, panel: Panel) -> Score:
    """A number of a standby is one to trust less: nothing is moved by it."""
    if not panel.standby or score.score is None:
        return score
    reason = f"{STANDBY}: {panel.standby}"
    return replace(score, status=ScoreStatus.DEGRADED, reasons=(*score.reasons, reason))


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
        if panel.serving is None or panel.bundle is None or panel.standby:
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
        if panel.serving is None or panel.bundle is None or panel.standby:
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
