"""`ballast models compare`: figures of two or three members side by side, and how far their contest in shadow has come.

Reads the warehouse and the stored evaluations; the arithmetic is `models.validation.shadow`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from models.contracts.market import SeriesKind
from models.contracts.score import Role
from models.contracts.tables import ML_EVALUATIONS, ML_PREDICTIONS
from models.validation.ledger import Entry, champion_at, contender, crowning_of
from models.validation.power import Reading
from models.validation.shadow import compare, compare_evaluated, outcomes
from orchestration.by_hand import NotPossible
from orchestration.panels import training_rows
from orchestration.resources.workspace import Workspace

FIGURES = (
    "rows", "qlike", "qlike_uncapped", "ratio_to_best_baseline", "dm_p_value", "spike_auc", "spike_brier_skill",
    "spike_ece", "var99_rate",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Side:
    """One member of a comparison: what `version` said by `algorithm`, judged in `evaluation`."""

    label: str
    version: str
    algorithm: str
    evaluation: str


@dataclass(frozen=True, slots=True)
class Contest:
    """The first side against one other. `live`: in shadow; `expected`: in the evaluation, None across evaluations."""

    other: Side
    live: Reading
    expected: Reading | None


@dataclass(frozen=True, slots=True)
class Comparison:
    sides: Sequence[Side]
    figures: Sequence[Mapping[str, Any]]
    contests: Sequence[Contest]


def compare_sides(workspace: Workspace, entries: Sequence[Entry], sides: Sequence[Side]) -> Comparison:
    """Figures of all sides (panel mean; empty where an evaluation has none) and the first side against each other."""
    own, panel = sides[0], entries[0]
    kind, horizon = SeriesKind(panel.panel), panel.horizon_days
    known = _outcomes(workspace, kind, horizon)
    said = {side: _said(workspace, panel.model_name, horizon, side) for side in sides}
    contests = [
        Contest(side, compare(said[own], said[side], known, horizon), _expected(workspace, own, side))
        for side in sides[1:]
    ]
    return Comparison(sides, [_figures(workspace, side) for side in sides], contests)


def members(entries: Sequence[Entry], name: str, now: datetime) -> list[Side]:
    """The champion and those that speak in shadow beside it. Raises NotPossible without a champion."""
    champion = champion_at(entries, name, now)
    if champion is None:
        raise NotPossible(f"{name} has no champion: `ballast models list` shows which models have")
    own = _side("champion", champion)
    shadows: Mapping[str, str] = champion.evidence.get("shadows") or {}
    waiting = contender(entries, name, now)
    found = [own]
    for role in (Role.BASELINE.value, Role.CHALLENGER.value):
        if role == Role.CHALLENGER.value and waiting is not None:
            found.append(_side(f"version {waiting.model_version}", waiting))
        elif role in shadows:
            found.append(Side(role, own.version, shadows[role], own.evaluation))
    return found


def versions(entries: Sequence[Entry], name: str, wanted: Sequence[str]) -> list[Side]:
    """Versions by number. Raises NotPossible for one that the ledger does not know."""
    found = []
    for version in wanted:
        known = [e for e in entries if e.model_name == name and e.model_version == version]
        entry = crowning_of(entries, name, version) or next((e for e in known if "evaluation_id" in e.evidence), None)
        if entry is None:
            raise NotPossible(f"the ledger has no version {version} of {name}: `ballast models ledger --model {name}`")
        found.append(_side(f"version {version}", entry))
    return found


def _side(label: str, entry: Entry) -> Side:
    return Side(label, entry.model_version, entry.algorithm, str(entry.evidence.get("evaluation_id") or ""))


def _outcomes(workspace: Workspace, kind: SeriesKind, horizon: int) -> pd.DataFrame:
    scored = [spec for spec in workspace.series() if spec.scored]
    rows = training_rows(workspace.warehouse, kind, scored, workspace.vaults())
    return outcomes(rows[rows["as_of"] <= workspace.now()] if len(rows) else rows, kind, horizon)


def _said(workspace: Workspace, name: str, horizon: int, side: Side) -> pd.DataFrame:
    """What a side said of each moment, whichever part it had then; the first word counts."""
    return workspace.warehouse.read(
        f"""
        select distinct on (series, as_of) series, as_of, rv_forecast from {ML_PREDICTIONS}
        where model_name = :name and horizon_days = :horizon and model_version = :version and algorithm = :algorithm
        order by series, as_of, issued_at, role
        """,
        {"name": name, "horizon": horizon, "version": side.version, "algorithm": side.algorithm},
    )


def _figures(workspace: Workspace, side: Side) -> Mapping[str, Any]:
    found = workspace.warehouse.rows(
        f"select {', '.join(FIGURES)} from {ML_EVALUATIONS} "
        "where evaluation_id = :id and model = :model and series = '*'",
        {"id": side.evaluation, "model": side.algorithm},
    )
    return found[0] if found else {}


def _expected(workspace: Workspace, own: Side, other: Side) -> Reading | None:
    from orchestration.assets.evaluation import forecasts_path, read_forecasts  # Dagster assets

    if own.evaluation != other.evaluation or not forecasts_path(workspace, own.evaluation).is_file():
        return None
    return compare_evaluated(read_forecasts(workspace, own.evaluation), own.algorithm, other.algorithm)
