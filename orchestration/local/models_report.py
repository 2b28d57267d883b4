"""Tables about models: champions, the ledger, a comparison. Rendering only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from models.contracts.market import SeriesKind
from models.validation.expiry import MAX_AGE
from models.validation.ledger import Action, Entry, pin
from orchestration.local.report import day, minute, table_of

if TYPE_CHECKING:  # they stand on pandas, which a look at the ledger need not load
    from models.validation.power import Reading
    from orchestration.shadow_reading import Comparison

_NONE = "-"
_STYLE = {
    Action.ROLLED_BACK: "yellow", Action.FELL_BACK: "yellow", Action.REFUSED: "red", Action.EXPIRED: "red",
    Action.HELD: "yellow",
}  # fmt: skip
_TITLES = {
    "rows": "rows", "qlike": "QLIKE", "qlike_uncapped": "uncapped", "ratio_to_best_baseline": "ratio",
    "dm_p_value": "DM p", "spike_auc": "AUC", "spike_brier_skill": "Brier skill", "spike_ece": "ECE",
    "var99_rate": "VaR 99 hits",
}  # fmt: skip


def champions_table(champions: Sequence[Entry], entries: Sequence[Entry], now: datetime) -> Table:
    """One row a model: who serves since when, how old its training data is and what is allowed, what holds it."""
    table = table_of("Champions", ("model", "version", "algorithm", "since", "trained until"), ("age",))
    table.add_column("state", overflow="fold")
    for entry in champions:
        age, state = _age(entry, entries, now)
        table.add_row(
            escape(entry.model_name), escape(entry.model_version), escape(entry.algorithm), day(entry.at),
            day(trained_until(entry)), age, state,
        )  # fmt: skip
    return table


def _age(entry: Entry, entries: Sequence[Entry], now: datetime) -> tuple[str, str]:
    kind, trained = SeriesKind(entry.panel), trained_until(entry)
    told = []
    if any(e.action is Action.EXPIRED and e.evidence.get("promotion_id") == entry.id for e in entries):
        told.append(f"[red]expired[/]: {MAX_AGE[kind].degraded.days} days are allowed")
    held = pin(entries, entry.model_name, kind, now)
    if held is not None:
        told.append(f"rolled back from version {escape(str(entry.replaced_version))}; held until data reaches "
                    f"{day(held.until)}: {escape(entry.reason)}")  # fmt: skip
    elif not told:
        told.append(escape(entry.reason))
    return _NONE if trained is None else f"{(now - trained).days} d", "; ".join(told)


def trained_until(entry: Entry) -> datetime | None:
    """End of a version's training data, None where its entry does not say."""
    found = entry.evidence.get("trained_until")
    return datetime.fromisoformat(str(found)) if found else None


def ledger_table(entries: Sequence[Entry], title: str = "Promotion ledger (market time)") -> Table:
    """One row an entry, oldest first."""
    table = table_of(title, ("when", "model", "version", "what", "by"))
    table.add_column("why", overflow="fold")
    for entry in entries:
        style = _STYLE.get(entry.action, "green")
        from_version = f" from {entry.replaced_version}" if entry.replaced_version is not None else ""
        table.add_row(
            minute(entry.at), escape(entry.model_name), escape(entry.model_version + from_version),
            f"[{style}]{entry.action.value.replace('_', ' ')}[/]", escape(entry.by), escape(entry.reason),
        )  # fmt: skip
    return table


def evidence_lines(entry: Entry) -> list[str]:
    """What an entry rests on: evaluation, hashes, the figures of the gate."""
    seen = entry.evidence
    told = [
        f"[bold]{escape(entry.model_name)}[/]: version {escape(entry.model_version)}, {escape(entry.algorithm)}, "
        f"{entry.action.value.replace('_', ' ')} by {escape(entry.by)} at {minute(entry.at)} UTC",
        f"  why         {escape(entry.reason)}",
        f"  evaluation  {_text(seen, 'evaluation_id')}",
        f"  rests on    data {_text(seen, 'data_hash')}, code {_text(seen, 'code_hash')}",
        f"  trained     until {day(trained_until(entry))}; bundle {_text(seen, 'bundle_hash')}",
    ]
    if lately := seen.get("fallback"):
        told.append(
            f"  lately      {escape(str(lately.get('model')))} {_number(lately.get('ratio'))} of "
            f"{escape(str(lately.get('reference')))} over {lately.get('dates')} dates to {lately.get('until')}, "
            f"p {_number(lately.get('p_value'))}"
        )
    for row in seen.get("gate") or ():
        chosen = " <- accepted" if row.get("accepted") else ""
        told.append(
            f"  gate        {escape(str(row.get('model'))):<12} QLIKE {_number(row.get('qlike'))} "
            f"(uncapped {_number(row.get('qlike_uncapped'))}), ratio {_number(row.get('ratio'))}, "
            f"p {_number(row.get('dm_p_value'))}{chosen}"
        )
    return told


def figures_table(found: Comparison) -> Table:
    """Figures of the evaluations, one row a side: panel means."""
    table = table_of("Evaluation (panel)", ("", "version", "algorithm"), tuple(_TITLES.values()))
    for side, figures in zip(found.sides, found.figures, strict=True):
        cells = [_cell(name, figures.get(name)) for name in _TITLES]
        table.add_row(escape(side.label), escape(side.version), escape(side.algorithm), *cells)
    return table


def contests_table(found: Comparison) -> Table:
    """How far the comparison in shadow has come: d, dates so far, dates for 80 % power, one-sided at 5 %."""
    own = found.sides[0]
    table = table_of(
        f"In shadow: {own.label} ({own.algorithm}) against", ("", "algorithm"),
        ("d", "dates", "needed", "p", "d expected", "needed then"), ("verdict",),
    )  # fmt: skip
    for contest in found.contests:
        live, expected = contest.live, contest.expected
        table.add_row(
            escape(contest.other.label), escape(contest.other.algorithm), *_reading(live), *_expectation(expected),
            live.verdict,
        )  # fmt: skip
    return table


def _reading(live: Reading) -> tuple[str, str, str, str]:
    return _number(live.d), str(live.dates), _count(live.needed), _number(live.p_value)


def _expectation(expected: Reading | None) -> tuple[str, str]:
    return (_NONE, _NONE) if expected is None else (_number(expected.d), _count(expected.needed))


def _cell(name: str, value: float | None) -> str:
    return _count(None if value is None else int(value)) if name == "rows" else _number(value)


def _count(value: int | None) -> str:
    return _NONE if value is None else f"{value:,}"


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.4f}"


def _text(seen: Mapping[str, Any], name: str) -> str:
    return escape(str(seen.get(name) or "not recorded"))
