"""The promotion ledger as history: who was champion at a moment, who before, and what may not come back by itself.

Pure: entries in, answers out. Entries are only ever added; who may add one is decided by the gate and by people.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from models.contracts.horizons import PROTOCOLS
from models.contracts.market import SeriesKind

GATE = "gate"  # who promotes when no person does
_FX_KINDS = (SeriesKind.RANGES, SeriesKind.FIXINGS)
_CALENDAR_DAYS_A_BUSINESS_DAY = 7 / 5


class Action(StrEnum):
    """What an entry says about a version. Only the first three change who is champion."""

    PROMOTED = "promoted"  # the gate accepted it
    ROLLED_BACK = "rolled_back"  # a person returned to it: it was champion before
    FELL_BACK = "fell_back"  # a baseline: what the gate chose has lost too much lately
    HELD = "held"  # the gate accepted it, but a rollback is too fresh to be undone by a run
    REFUSED = "refused"  # a person asked for it, the gate's evidence does not carry it
    EXPIRED = "expired"  # champion found to be older than allowed; it stays champion, its scores say so


CROWNING = (Action.PROMOTED, Action.ROLLED_BACK, Action.FELL_BACK)
TRAINED = (Action.PROMOTED, Action.HELD, Action.FELL_BACK)  # about a version that a training run has just registered


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the ledger. `at`: market time, aware UTC. `evidence`: what the gate saw, as JSON values."""

    id: int
    action: Action
    panel: str
    horizon_days: int
    model_name: str
    model_version: str
    algorithm: str
    replaced_version: str | None
    reason: str
    evidence: Mapping[str, Any]
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Reign:
    """A version in office: from `since` (included) to `until` (excluded; None: still)."""

    entry: Entry
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Pin:
    """After a rollback: until `until` the data of an evaluation must reach before a run may promote again."""

    entry: Entry
    until: datetime


def model_name(kind: SeriesKind, horizon_days: int) -> str:
    """Name of the registered model of a panel and horizon."""
    return f"volatility_{kind.value}_{horizon_days}d"


def reigns(entries: Iterable[Entry], name: str) -> tuple[Reign, ...]:
    """All reigns of a model in order; they touch and never overlap. One that ended as it began has no length."""
    crowned = sorted(
        (entry for entry in entries if entry.model_name == name and entry.action in CROWNING),
        key=lambda entry: (entry.at, entry.id),
    )
    ends: list[datetime | None] = [entry.at for entry in crowned[1:]]
    return tuple(Reign(entry, entry.at, end) for entry, end in zip(crowned, [*ends, None], strict=False))


def champion_at(entries: Iterable[Entry], name: str, moment: datetime) -> Entry | None:
    """The entry by which a version was champion of `name` at `moment` (aware); None before the first.

    A change counts from its own moment on; of several at one moment the last written counts.
    """
    found = reigns(entries, name)
    position = bisect_right(found, moment, key=lambda reign: reign.since)
    return found[position - 1].entry if position else None


def was_champion(entries: Iterable[Entry], name: str, version: str) -> bool:
    return any(reign.entry.model_version == version for reign in reigns(entries, name))


def crowning_of(entries: Iterable[Entry], name: str, version: str) -> Entry | None:
    """The newest entry that made `version` champion on evidence; None if it never was."""
    promoted = [reign.entry for reign in reigns(entries, name) if reign.entry.action is not Action.ROLLED_BACK]
    return next((entry for entry in reversed(promoted) if entry.model_version == version), None)


def in_office_since(entries: Iterable[Entry], name: str, moment: datetime) -> datetime | None:
    """Since when the algorithm of the champion at `moment` has served without a break, whichever version of it: each
    training makes a new one. None before the first champion."""
    since, algorithm = None, None
    for reign in reigns(entries, name):
        if reign.since > moment:
            break
        if reign.entry.algorithm != algorithm:
            since, algorithm = reign.since, reign.entry.algorithm
    return since


def has_fallen_back(entries: Iterable[Entry], name: str, moment: datetime) -> bool:
    """Whether a baseline serves at `moment` in the place of what the gate chose."""
    champion = champion_at(entries, name, moment)
    return champion is not None and champion.action is Action.FELL_BACK


def predecessor(entries: Sequence[Entry], name: str, moment: datetime) -> str | None:
    """The version that the champion took over from when it was promoted: where a rollback leads. None for the first.

    Two rollbacks in a row lead two promotions back, not to the version that was just left.
    """
    current = champion_at(entries, name, moment)
    own = crowning_of(entries, name, current.model_version) if current is not None else None
    return own.replaced_version if own is not None else None


def pin(entries: Sequence[Entry], name: str, kind: SeriesKind, moment: datetime) -> Pin | None:
    """What a rollback asks of the runs that follow it; None unless the last change was one.

    A person saw what the gate did not, and one more day cannot change a verdict over years. So the data of an
    evaluation must reach one refit step of the walk-forward beyond the rollback: then every refit that the version
    would have served with was judged once on days that nobody knew. A person may promote sooner.
    """
    current = champion_at(entries, name, moment)
    if current is None or current.action is not Action.ROLLED_BACK:
        return None
    return Pin(current, current.at + refit_step(kind))


def contender(entries: Sequence[Entry], name: str, moment: datetime) -> Entry | None:
    """The version that waits beside a champion that was rolled back to: the newest held one, else the one that was
    left. It is scored in shadow, so that its return can be decided on what it said. None without a rollback."""
    current = champion_at(entries, name, moment)
    if current is None or current.action is not Action.ROLLED_BACK:
        return None
    later = [e for e in entries if e.model_name == name and e.id > current.id and e.action is Action.HELD]
    if later:
        return max(later, key=lambda entry: entry.id)
    return crowning_of(entries, name, current.replaced_version) if current.replaced_version is not None else None


def refit_step(kind: SeriesKind) -> timedelta:
    """Refit step of the walk-forward in calendar days (rates count business days)."""
    days = PROTOCOLS[kind].refit_step
    return timedelta(days=round(days * _CALENDAR_DAYS_A_BUSINESS_DAY) if kind in _FX_KINDS else days)
