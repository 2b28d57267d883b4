"""Panels of a market: which series are forecast together, and their rows for training and for scoring.

Series of one kind share a panel; vaults are a panel of their own, made of their legs' rows. A vault is scored at its
base weights, what it would hold with risk on: judged by what it holds now, a vault in its stable leg would always
look calm and be sent straight back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from models.contracts.market import SeriesKind, SeriesSpec
from models.contracts.vault import VaultConfig
from models.risk.vault_series import HOURLY, MAX_CLOSED_DAYS, Leg, vault_rows
from models.volatility.bundle import HISTORY_DAYS
from orchestration.resources import features
from orchestration.resources.warehouse import Warehouse

PANELS = (SeriesKind.CANDLES, SeriesKind.RANGES, SeriesKind.FIXINGS, SeriesKind.VAULT)


def legs_of(vault: VaultConfig, kinds: Mapping[str, SeriesKind]) -> list[Leg]:
    """Risky legs of a vault at base weights."""
    return [
        Leg(asset.series, kinds[asset.series], float(asset.base_weight), asset.invert)
        for asset in vault.assets
        if asset.series is not None and not asset.stable
    ]


def training_rows(
    warehouse: Warehouse, kind: SeriesKind, specs: Sequence[SeriesSpec], vaults: Sequence[VaultConfig]
) -> pd.DataFrame:
    """Rows that a panel is evaluated and fitted on; empty where nothing of this kind is scored."""
    if kind is not SeriesKind.VAULT:
        return features.origins(warehouse, kind, sorted({s.id for s in specs if s.kind is kind}))
    kinds = {spec.id: spec.kind for spec in specs}
    found = []
    for vault in vaults:
        legs = legs_of(vault, kinds)
        rows = pd.concat([features.origins(warehouse, k, ids) for k, ids in _by_kind(legs).items()])
        if rows["series"].nunique() == len({leg.series for leg in legs}):
            found.append(_until_last_value(vault_rows(rows, legs, vault.id)))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


@dataclass(frozen=True, slots=True)
class Question:
    """Rows for one prediction, and the series whose answers are wanted: a pooled model reads the others as well."""

    rows: pd.DataFrame
    asked: frozenset[str]


def scoring_questions(warehouse: Warehouse, kind: SeriesKind, newest: Mapping[str, datetime]) -> list[Question]:
    """Rows up to the newest moment of each series, as far back as a prediction looks; one question for each hour of
    the day at which a series ends, with the whole panel at that hour."""
    if not newest:
        return []
    ids, since = sorted(newest), min(newest.values()) - timedelta(days=HISTORY_DAYS)
    if kind not in HOURLY:
        rows = _come(features.origins(warehouse, kind, ids, since), newest)
        return [Question(_recent(rows), frozenset(ids))]
    hours: dict[int, set[str]] = {}
    for series, moment in newest.items():
        hours.setdefault(moment.hour, set()).add(series)
    return [
        Question(_recent(_come(features.same_hour(warehouse, kind, ids, hour, since), newest)), frozenset(asked))
        for hour, asked in sorted(hours.items())
    ]


def vault_scoring_rows(
    warehouse: Warehouse, vault: VaultConfig, specs: Sequence[SeriesSpec], newest: Mapping[str, datetime]
) -> pd.DataFrame:
    """The series of one vault at the hour of its newest hourly leg; empty while a leg has no features."""
    legs = legs_of(vault, {spec.id: spec.kind for spec in specs})
    if not legs or any(leg.series not in newest for leg in legs):
        return pd.DataFrame()
    hour = max((newest[leg.series] for leg in legs if leg.kind in HOURLY), default=None)
    at = hour.hour if hour is not None else 0
    # Correlations fade with EWMA(0.97): rows before twice the history of a prediction have no weight left.
    since = min(newest[leg.series] for leg in legs) - timedelta(days=2 * HISTORY_DAYS)
    parts = [
        features.same_hour(warehouse, kind, ids, at, since)
        if kind in HOURLY
        else features.origins(warehouse, kind, ids, since)
        for kind, ids in _by_kind(legs).items()
    ]
    rows = _come(pd.concat(parts, ignore_index=True), newest)
    if rows["series"].nunique() < len({leg.series for leg in legs}):
        return pd.DataFrame()
    return _recent(_until_last_value(vault_rows(rows, legs, vault.id, at)))


def last_origins(warehouse: Warehouse, specs: Sequence[SeriesSpec], now: datetime) -> dict[str, datetime]:
    """Newest origin of each series that has closed by `now`: hourly features exist between origins as well."""
    found = features.newest(warehouse, [spec.id for spec in specs], now)
    hourly = {spec.id for spec in specs if spec.kind is SeriesKind.CANDLES}
    return {
        series: moment.replace(hour=0, minute=0, second=0, microsecond=0) if series in hourly else moment
        for series, moment in found.items()
    }


def _by_kind(legs: Sequence[Leg]) -> dict[SeriesKind, list[str]]:
    found: dict[SeriesKind, list[str]] = {}
    for leg in legs:
        found.setdefault(leg.kind, []).append(leg.series)
    return found


def _until_last_value(rows: pd.DataFrame) -> pd.DataFrame:
    """Without the tail in which a leg has ended: the vault's own last date is the last on which all legs have one.
    A short hole at the end stays; the model says what it makes of it."""
    known = np.flatnonzero(rows["rv"].notna().to_numpy())
    if not len(known):
        return rows.iloc[:0]
    return rows if len(rows) - 1 - known[-1] <= MAX_CLOSED_DAYS else rows.iloc[: known[-1] + 1]


def _come(rows: pd.DataFrame, newest: Mapping[str, datetime]) -> pd.DataFrame:
    """Without rows of days that have not closed yet: `newest` is the last that had, by series."""
    return rows[rows["as_of"] <= pd.to_datetime(rows["series"].map(newest), utc=True)]


def _recent(rows: pd.DataFrame) -> pd.DataFrame:
    """The last HISTORY_DAYS of each series: windows and filters need no more, and a tick should not pay for it."""
    if rows.empty:
        return rows
    newest = rows.groupby("series")["as_of"].transform("max")
    return rows[rows["as_of"] > newest - timedelta(days=HISTORY_DAYS)].reset_index(drop=True)
