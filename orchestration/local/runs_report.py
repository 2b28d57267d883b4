"""Tables about runs: a list, one run, several side by side. Rendering only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from orchestration.local.report import minute, table_of

if TYPE_CHECKING:
    from models.runs.compare import Difference
    from models.runs.registry import StoredRun

_NONE = "-"
_FIGURES = ("cagr", "volatility", "sharpe", "max_drawdown", "es99")
_TITLES = ("growth a year", "volatility", "Sharpe", "largest drawdown", "ES99")


def runs_table(runs: Sequence[StoredRun]) -> Table:
    """One row a run, newest first."""
    table = table_of("Backtests", ("id", "vault", "policies", "from", "to", "status", "asked by", "asked at"), ())
    for run in runs:
        table.add_row(
            run.id, escape(str(run.inputs.get("vault_id"))), ", ".join(run.inputs.get("policies", ())),
            str(run.inputs.get("start")), str(run.inputs.get("end")), _status(run), run.requested_by,
            minute(run.recorded_at),
        )  # fmt: skip
    return table


def run_lines(run: StoredRun) -> Iterator[str]:
    """What a run is and what it rests on."""
    took = "" if run.seconds is None else f", computed in {run.seconds:.1f} s"
    why = f": {escape(run.detail)}" if run.detail else ""
    yield f"[bold]{run.id}[/] {run.status.value}{why}{took}"
    asked = run.inputs
    yield f"  vault       {escape(str(asked.get('vault_id')))}, {asked.get('start')} to {asked.get('end')}"
    yield f"  rests on    data {run.data_hash}, code {run.code_hash}, environment {run.environment_hash}"
    yield f"  inputs      {run.input_hash}, seed {run.seed}"


def strategies_table(run: StoredRun) -> Table:
    """One row a strategy: figures, and what is left beside the mix of equal exposure."""
    assert run.summary is not None
    columns = ("exposure", "turnover", *_TITLES, "ES99 less mix", "p", "Sharpe less mix", "p")
    table = table_of("Strategies", ("strategy",), columns)
    less = run.summary["intervals"]["less"]
    for each in run.summary["strategies"]:
        own, placebo = less.get(each["name"], {}), (each["placebo"] or {}).get("p_value", {})
        table.add_row(
            escape(each["name"]), _number(each["mean_exposure"]), _number(each["turnover_a_year"], 1),
            *(_number(each["figures"][name], 3) for name in _FIGURES),
            _interval(own.get("es99_ratio")), _number(placebo.get("es99"), 3),
            _interval(own.get("sharpe")), _number(placebo.get("sharpe"), 3),
        )  # fmt: skip
    return table


def comparison_table(runs: Sequence[StoredRun]) -> Table:
    """One row a run and strategy."""
    table = table_of("Side by side", ("run", "strategy", "from", "to"), _TITLES)
    for run in runs:
        for each in (run.summary or {}).get("strategies", [{"name": run.status.value, "figures": {}}]):
            table.add_row(
                run.id, escape(each["name"]), str(run.inputs.get("start")), str(run.inputs.get("end")),
                *(_number(each["figures"].get(name), 3) for name in _FIGURES),
            )  # fmt: skip
    return table


def differences_table(title: str, found: Sequence[Difference], sides: Sequence[str]) -> Table:
    """One row a difference, one column a side."""
    table = table_of(title if found else f"{title}: none", ("what", *sides), ())
    for each in found:
        table.add_row(escape(each.path), *(escape(_short(value)) for value in each.values))
    return table


def _status(run: StoredRun) -> str:
    return f"{run.status.value} {escape(run.detail)}" if run.detail and run.summary is None else run.status.value


def _number(value: float | None, digits: int = 2) -> str:
    return _NONE if value is None else f"{value:.{digits}f}"


def _interval(found: Mapping[str, Any] | None) -> str:
    if not found or found["value"] is None or found["low"] is None:
        return _NONE
    return f"{found['value']:+.2f} ({found['low']:+.2f} to {found['high']:+.2f})"


def _short(value: Any) -> str:
    text = _NONE if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
