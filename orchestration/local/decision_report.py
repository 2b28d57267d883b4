"""One decision on the screen, from its transaction back to the raw rows, and what came out when it was made again.
Rendering only; `--json` has every value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from orchestration.local.report import minute, number, table_of

if TYPE_CHECKING:
    from orchestration.replaying import Part

_NONE = "-"
_RAW_SHOWN = 3  # newest raw rows of each series; the others are counted
_FEATURES_SHOWN = ("close", "rv", "ret", "rv_w", "rv_m", "share_imputed")


def trail(found: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Lines and tables, from what happened last to what it all rests on."""
    yield from _decision_lines(found)
    yield from _intent_lines(found)
    yield from _target_lines(found)
    yield from _score_lines(found)
    if found["features"]:
        yield _feature_table(found["features"])
    if found["raw"]:
        yield _raw_table(found["raw"])
    if found["regret"]:
        yield _regret_table(found["regret"])
    missing = ", ".join(found["gaps"])
    yield f"[red]chain incomplete[/]: {missing}" if missing else "[green]chain complete[/]"


def parts(made: Sequence[Part]) -> Iterator[str]:
    """A line for each part that was made again, and one for each difference."""
    for part in made:
        word = "[green]agrees[/]" if part.agrees else "[red]differs[/]" if part.is_possible else "[red]not possible[/]"
        yield f"replay {part.name:<9} {word}{f' ({escape(part.note)})' if part.note else ''}"
        for each in part.differences:
            yield f"  {escape(each.what)}: stored {escape(each.stored)}, again {escape(each.again)}"


def checked(
    rows: Sequence[tuple[Mapping[str, Any], Sequence[Part]]],
    wrong: Sequence[tuple[Mapping[str, Any], Sequence[Part]]],
) -> Iterator[RenderableType]:
    """How many decisions came out again, and each one that did not."""
    yield f"{len(rows)} decisions made again: {len(rows) - len(wrong)} complete and equal, {len(wrong)} not"
    notes = Counter(f"{part.name}: {part.note}" for _, made in rows for part in made if part.note and part.is_possible)
    for note, times in sorted(notes.items()):
        yield f"  {times} x {escape(note)}"
    for found, made in wrong:
        decision = found["decision"]
        yield f"[red]{decision['id']}[/] {minute(decision['market_time'])} {escape(decision['vault_id'])}"
        if found["gaps"]:
            yield f"  chain incomplete: {', '.join(found['gaps'])}"
        yield from (f"  {line}" for line in parts([part for part in made if not part.agrees]))


def _decision_lines(found: Mapping[str, Any]) -> Iterator[str]:
    decision, inputs = found["decision"], found["decision"]["inputs"]
    yield (
        f"[bold]{decision['id']}[/] {escape(decision['vault_id'])} at {minute(decision['market_time'])}: "
        f"[bold]{decision['verdict']}[/] ({escape(', '.join(decision['reasons']))})"
    )
    yield f"  {decision['phase']}, {decision['data_mode']} data, policy {escape(decision['policy_version'])}"
    control = inputs["control"]
    yield f"  switch      {control['mode']} ({escape(control['reason'])})"
    if state := inputs.get("state"):
        worth = f"{float(state['tvl_usd']):,.2f} USD"
        yield f"  held        {_weights(state['weights'])} of {worth}, drift {inputs['drift']}"
    if history := inputs.get("history"):
        yield f"  before      last action {history['last_action_at'] or _NONE}, {history['turnover_day']} moved in 24 h"
    if chain := inputs.get("chain"):
        stroops = chain["balance_stroops"]
        yield f"  chain       ledger {chain['ledger']}, sequence {chain['sequence']}, {stroops} stroops"
    if plan := decision["plan"]:
        yield f"  goes to     {_weights(plan['weights'])}, turnover {plan['turnover']}"
    if expected := inputs.get("expected"):
        before, after = (_percent(expected[name]) for name in ("risk_before", "risk_after"))
        yield f"  expected    risk of a day {before} to {after}, cost {_percent(expected['cost'])}"


def _intent_lines(found: Mapping[str, Any]) -> Iterator[RenderableType]:
    intent = found["intent"]
    if intent is None:
        return
    why = f" ({escape(intent['reason'])})" if intent["reason"] else ""
    yield f"intent {intent['id']} {intent['action']}: [bold]{intent['state']}[/]{why}, {len(found['events'])} events"
    for each in found["attempts"]:
        yield f"  {each['n']}. [bold]{each['tx_hash']}[/]"
        said = ", ".join(
            f"{name.replace('_', ' ')} {each[name]}"
            for name in ("sequence", "ledger", "result_code", "contract_error", "fee_charged")
            if each[name] is not None
        )
        yield f"     {each['state']}, {escape(said)}"


def _target_lines(found: Mapping[str, Any]) -> Iterator[str]:
    target = found["target"]
    if target is not None:
        yield (
            f"target {target['id']} of {minute(target['as_of'])}: {target['state']} {_weights(target['weights'])} "
            f"({escape(', '.join(target['reasons']))})"
        )


def _score_lines(found: Mapping[str, Any]) -> Iterator[str]:
    score, model, inputs = found["score"], found["model"], found["score_inputs"]
    if score is None:
        return
    yield (
        f"score {score['id']} {escape(score['subject'])} of {minute(score['as_of'])}, "
        f"issued {minute(score['issued_at'])}: [bold]{number(score['score'], 1)}[/] {score['status']}, "
        f"volatility {_percent(score['sigma_ann'])} a year"
    )
    for reason in score["reasons"]:
        yield f"  {escape(reason)}"
    if model is not None:
        yield (
            f"model {escape(model['model_name'])} version {model['model_version']} ({escape(model['algorithm'])}), "
            f"{model['action']} {minute(model['promoted_at'])} by {escape(model['promoted_by'])}"
        )
    if inputs is not None:
        yield f"  made of {inputs['rows']} rows since {minute(inputs['first_as_of'])}, hash {inputs['data_hash']}"


def _feature_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = table_of("Features", ("series", "as of", "known at"), _FEATURES_SHOWN)
    for row in rows:
        known = (row.get(name) for name in _FEATURES_SHOWN)
        values = (_NONE if value is None else f"{value:.6g}" for value in known)
        table.add_row(escape(row["series"]), minute(row["as_of"]), minute(row.get("known_at")), *values)
    return table


def _raw_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = table_of("Raw rows", ("series", "event time", "known at", "stored at", "provider"), (), ("values",))
    for series, own in groupby(rows, key=lambda row: row["series"]):
        of_series = list(own)
        for row in of_series[:_RAW_SHOWN]:
            values = ", ".join(f"{name} {value}" for name, value in row["values"].items() if value is not None)
            known = minute(row["available_at"]) + ("" if row["was_known"] else " (later)")
            table.add_row(escape(series), minute(row["ts"]), known, minute(row["recorded_at"]), row["provider"], values)
        if len(of_series) > _RAW_SHOWN:
            table.add_row("", f"{len(of_series) - _RAW_SHOWN} more", "", "", "", "")
    return table


def _regret_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = table_of(
        "Beside the vault that did not move", ("days", "until"),
        ("return", "stayed", "regret", "risk a day", "stayed", "expected", "cost", "expected"),
    )  # fmt: skip
    for row in rows:
        figures = ("return_moved", "return_stayed", "regret", "risk_moved", "risk_stayed", "expected_risk_after",
                   "cost", "expected_cost")  # fmt: skip
        table.add_row(str(row["horizon_days"]), minute(row["scored_until"]), *(_percent(row[name]) for name in figures))
    return table


def _weights(weights: Mapping[str, Any]) -> str:
    return escape(", ".join(f"{symbol} {float(weight):.1%}" for symbol, weight in weights.items()))


def _percent(value: Any) -> str:
    return _NONE if value is None else f"{float(value):.3%}"
