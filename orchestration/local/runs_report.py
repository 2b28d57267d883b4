"""Tables about runs: a list, one run, several side by side. Rendering only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from models.contracts.runs import RunKind
from orchestration.local.report import minute, table_of

if TYPE_CHECKING:
    from models.runs.compare import Difference
    from models.runs.registry import StoredRun
    from models.stress.scenarios import Scenario

_NONE = "-"
_FIGURES = ("cagr", "volatility", "sharpe", "max_drawdown", "es99")
_SIMULATED = {
    "mean_return": "mean return", "var_99": "VaR99", "es_99": "ES99", "max_drawdown_95": "drawdown 95 %",
    "ruin_probability": "ruin", "liquidation_probability": "liquidation",
}  # fmt: skip
_TITLES = ("growth a year", "volatility", "Sharpe", "largest drawdown", "ES99")


def runs_table(title: str, runs: Sequence[StoredRun]) -> Table:
    """One row a run, newest first."""
    table = table_of(title, ("id", "vault", "policies", "from", "to", "status", "asked by", "asked at"), ())
    for run in runs:
        table.add_row(
            run.id, escape(str(run.inputs.get("vault_id"))), _policies(run),
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


def result_tables(run: StoredRun) -> Iterator[Table]:
    """What came out of a run, whatever its kind."""
    if run.kind is RunKind.BACKTEST:
        yield strategies_table(run)
        yield from (table for table in (regimes_table(run), events_table(run)) if table.row_count)
        return
    assert run.summary is not None
    figures = {each["name"]: each["figures"] for each in run.summary["strategies"]}
    figures |= {f"policy less {name}": own for name, own in run.summary["policy_less"].items()}
    yield estimates_table("Paths", figures)
    shocks = run.summary["shocks"]
    if shocks:
        alone = {name: own["policy"] for name, own in shocks["alone"].items()}
        yield estimates_table("What shocks change of the policy", {"all": shocks["all"]["policy"], **alone})


def estimates_table(title: str, rows: Mapping[str, Mapping[str, Any]]) -> Table:
    """One row of estimates each, with their 95 % intervals."""
    table = table_of(title, ("",), tuple(_SIMULATED.values()))
    for name, figures in rows.items():
        table.add_row(escape(name.replace("_", " ")), *(_estimate(figures[figure]) for figure in _SIMULATED))
    return table


def scenarios_table(scenarios: Iterable[Scenario]) -> Table:
    """One row a scenario, oldest first; sources of the figures: `GET /v1/risk/scenarios`."""
    table = table_of("Scenarios", ("name", "from", "to", "what"))
    table.columns[-1].no_wrap = False  # a long title must not cost the name, which is what is asked for
    for one in scenarios:
        table.add_row(one.name, str(one.start), str(one.end), escape(one.title))
    return table


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


def regimes_table(run: StoredRun) -> Table:
    """One row a regime and strategy; a regime with too few days has no figures."""
    assert run.summary is not None
    columns = ("days", "exposure", "sum of returns", "volatility", "Sharpe", "ES99")
    table = table_of("By the regime that a day began in", ("regime", "strategy"), columns)
    names = ("exposure", "sum_of_returns", "volatility", "sharpe", "es99")
    for regime in sorted({name for each in run.summary["strategies"] for name in each["regimes"]}):
        for each in run.summary["strategies"]:
            own = each["regimes"][regime]
            shown = (_number(own[name], 3) for name in names)
            table.add_row(regime, escape(each["name"]), str(own["days"]), *shown)
    return table


def events_table(run: StoredRun) -> Table:
    """One row an event and strategy, from its first day to the end of its week."""
    assert run.summary is not None
    columns = ("days", "return", "largest drawdown", "worst day", "exposure")
    table = table_of("Through events", ("event", "strategy"), columns)
    strategies = run.summary["strategies"]
    for n, event in enumerate(strategies[0]["windows"]):
        for each in strategies:
            own = each["windows"][n]
            shown = (_number(own[name], 3) for name in ("total_return", "max_drawdown", "worst_day", "exposure"))
            table.add_row(event["name"], escape(each["name"]), str(own["days"]), *shown)
    return table


def comparison_table(runs: Sequence[StoredRun]) -> Table:
    """One row a run and strategy."""
    names = dict(zip(_FIGURES, _TITLES, strict=True)) if runs[0].kind is RunKind.BACKTEST else _SIMULATED
    table = table_of("Side by side", ("run", "strategy", "from", "to"), tuple(names.values()))
    for run in runs:
        for each in (run.summary or {}).get("strategies", [{"name": run.status.value, "figures": {}}]):
            shown = (each["figures"].get(name) for name in names)
            table.add_row(
                run.id, escape(each["name"]), str(run.inputs.get("start")), str(run.inputs.get("end")),
                *(_estimate(one) if isinstance(one, Mapping) else _number(one, 3) for one in shown),
            )  # fmt: skip
    return table


def differences_table(title: str, found: Sequence[Difference], sides: Sequence[str]) -> Table:
    """One row a difference, one column a side."""
    table = table_of(title if found else f"{title}: none", ("what", *sides), ())
    for each in found:
        table.add_row(escape(each.path), *(escape(_short(value)) for value in each.values))
    return table


def _policies(run: StoredRun) -> str:
    """A simulation has that of its vault, a backtest may compare several."""
    return ", ".join(run.inputs.get("policies", (run.inputs["vault"]["policy"],)))


def _status(run: StoredRun) -> str:
    return f"{run.status.value} {escape(run.detail)}" if run.detail and run.summary is None else run.status.value


def _number(value: float | None, digits: int = 2) -> str:
    return _NONE if value is None else f"{value:.{digits}f}"


def _estimate(found: Mapping[str, Any]) -> str:
    if found["value"] is None or found["low"] is None:
        return _number(found["value"], 3)
    return f"{found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f})"


def _interval(found: Mapping[str, Any] | None) -> str:
    if not found or found["value"] is None or found["low"] is None:
        return _NONE
    return f"{found['value']:+.2f} ({found['low']:+.2f} to {found['high']:+.2f})"


def _short(value: Any) -> str:
    text = _NONE if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
