"""Answers about runs: one of them, a page of them, several side by side."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.contracts.runs import RunKind, RunStatus
from models.runs.compare import HASHES, differences
from models.runs.registry import StoredRun
from serving.schemas import Market

SHOWN = {
    RunKind.BACKTEST: ("cagr", "volatility", "sharpe", "max_drawdown", "es99"),
    RunKind.SIMULATION: ("mean_return", "var_99", "es_99", "max_drawdown_95", "ruin_probability"),
}
_EXAMPLE_LINE: dict[str, Any] = {
    "id": "backtest-66c61c6c2519fbf5", "status": "done", "detail": "", "vault_id": "mixed",
    "start": "2024-03-02", "end": "2025-12-31", "seed": 0, "requested_by": "api",
    "requested_at": "2026-01-01T00:00:00Z", "recorded_at": "2026-01-01T00:00:01Z", "status_at": "2026-01-01T00:00:01Z",
    "seconds": 0.8, "status_url": "/v1/backtests/backtest-66c61c6c2519fbf5",
    "figures": {"onoff": {"cagr": 0.21, "volatility": 0.44, "sharpe": 0.62, "max_drawdown": 0.38, "es99": 0.07}},
}  # fmt: skip
_EXAMPLE_MARKET: dict[str, Any] = {"name": "simulated", "data_mode": "simulated", "time": "2026-01-01T00:00:00Z"}


class RunLine(BaseModel):
    """One run, in short."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE_LINE]})

    id: str = Field(description="Kind and digest: equal inputs on equal data, code and environment have one id")
    status: Literal["queued", "running", "done", "failed", "cancelled"]
    detail: str = Field(description="Words about the status, such as why it failed; empty without any")
    vault_id: str | None
    start: str | None = Field(description="First day of the data that count")
    end: str | None = Field(description="Last day of the data that count")
    seed: int
    requested_by: str = Field(description="Who asked first: `api`, `cli` or `dagster`")
    requested_at: datetime = Field(description="Market time at which it was asked for")
    recorded_at: datetime = Field(description="Wall time at which it was asked for")
    status_at: datetime = Field(description="Wall time of the status")
    seconds: float | None = Field(description="Time it took to compute; null until it is done")
    status_url: str = Field(description="Where this run stands and will stand")
    figures: dict[str, dict[str, float | None]] = Field(description="By strategy; empty until it is done")


class Run(RunLine):
    """One run with all that it rests on and what came out."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **_EXAMPLE_LINE,
                    "kind": "backtest", "cached": False, "work": 24_808_764, "data_mode": "simulated",
                    "inputs": {"vault_id": "mixed", "policies": ["onoff"], "seed": 0}, "input_hash": "1c0f5a4b7d2e9c33",
                    "data_hash": "9a1b6c2d3e4f5061", "code_hash": "0f1e2d3c4b5a6978",
                    "environment_hash": "7766554433221100", "environment": {"python": "3.12.3", "numpy": "2.4.6"},
                    "summary": {"trials": 5},
                    "curve": {"days": ["2024-03-02"], "equity": {"onoff": [1, 1.01]}, "exposure": {"onoff": [0, 0.7]}},
                    "trades": {"onoff": []}, "trades_total": {"onoff": 0}, "trades_kept": {"onoff": 0},
                }
            ]
        }
    )  # fmt: skip

    kind: RunKind
    cached: bool = Field(description="True if the run was there before this request")
    work: int = Field(description="How much there was to compute, in units of 20 ns of one core")
    data_mode: Literal["simulated", "replay", "live"]
    inputs: dict[str, Any] = Field(description="All that decides the result, defaults written out")
    input_hash: str
    data_hash: str = Field(description="Digest of the prices, and scores, that were used")
    code_hash: str = Field(description="Digest of the sources that computed it")
    environment_hash: str
    environment: dict[str, str] = Field(description="Python, machine and versions of the numerical packages")
    summary: dict[str, Any] | None = Field(
        description="Figures with intervals or Monte-Carlo errors; null until it is done"
    )
    curve: dict[str, Any] | None = Field(
        description="Equity and exposure by day, or bands and drawdowns of paths; null unless asked for by `include`"
    )
    trades: dict[str, Any] | None = Field(description="Newest trades by strategy; null unless asked for by `include`")
    trades_total: dict[str, int] | None = Field(description="Trades that were made, by strategy; null without `trades`")
    trades_kept: dict[str, int] | None = Field(description="How many of these `trades` has; null without `trades`")


class RunPage(BaseModel):
    """Runs, newest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"market": _EXAMPLE_MARKET, "runs": [_EXAMPLE_LINE], "next_cursor": "MjAyNg=="}]
        }
    )

    market: Market
    runs: list[RunLine]
    next_cursor: str | None = Field(description="Pass as `cursor` for the next page; null on the last one")


class Differing(BaseModel):
    """One thing in which the runs are not the same."""

    path: str = Field(description="Dotted path in `inputs`, or the name of a hash")
    values: list[Any] = Field(description="One for each run, in their order")


class RunComparison(BaseModel):
    """Runs side by side."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "runs": [_EXAMPLE_LINE, {**_EXAMPLE_LINE, "id": "backtest-5304a8d85537c43a", "seed": 1}],
                    "differing": [{"path": "seed", "values": [0, 1]}],
                    "same_days": True,
                }
            ]
        }
    )

    runs: list[RunLine]
    differing: list[Differing] = Field(description="Inputs and hashes that differ")
    same_days: bool = Field(description="Whether their figures are of the same days")


def status_url(run: StoredRun) -> str:
    """Path of a run under the stable prefix."""
    return f"/v1/{PATHS[run.kind]}/{run.id}"


PATHS = {RunKind.BACKTEST: "backtests", RunKind.SIMULATION: "risk/simulations"}
_SAME = ("id", "detail", "seed", "requested_by", "requested_at", "recorded_at", "status_at", "seconds")


def line_of(run: StoredRun) -> RunLine:
    return RunLine(**_line(run))


def answer_of(run: StoredRun, cached: bool, curve: Any = None, trades: Any = None) -> Run:
    names = ("kind", "work", "data_mode", "inputs", "environment", "summary", *HASHES)
    rest = {name: getattr(run, name) for name in names}
    total = kept = None
    if trades is not None:
        total, kept = _trades_total(run), {name: len(several) for name, several in trades.items()}
    return Run(
        **_line(run), **rest, cached=cached, curve=curve, trades=trades, trades_total=total, trades_kept=kept
    )  # fmt: skip


def comparison_of(runs: list[StoredRun]) -> RunComparison:
    """`inputs` and hashes of runs of one kind, in the order given."""
    found = [Differing(path=d.path, values=list(d.values)) for d in differences([run.inputs for run in runs])]
    for name in HASHES[1:]:  # unequal inputs say themselves that they are
        values = [getattr(run, name) for run in runs]
        if len(set(values)) > 1:
            found.append(Differing(path=name, values=values))
    days = {(run.inputs.get("start"), run.inputs.get("end")) for run in runs}
    return RunComparison(runs=[line_of(run) for run in runs], differing=found, same_days=len(days) == 1)


def _line(run: StoredRun) -> dict[str, Any]:
    own = {name: getattr(run, name) for name in _SAME} | {"detail": run.detail or ""}
    inputs = {name: run.inputs.get(name) for name in ("vault_id", "start", "end")}
    return (
        own
        | inputs
        | {
            "detail": run.detail or "",
            "status": RunStatus(run.status).value,
            "status_url": status_url(run),
            "figures": _figures(run),
        }
    )


def _trades_total(run: StoredRun) -> dict[str, int]:
    """Carried out or not; a simulation keeps no trades of its paths."""
    strategies = (run.summary or {}).get("strategies", [])
    return {each["name"]: each["trades"] + each["failed_trades"] for each in strategies if "trades" in each}


def _figures(run: StoredRun) -> dict[str, dict[str, float | None]]:
    strategies = (run.summary or {}).get("strategies", [])
    return {each["name"]: {name: _value(each["figures"][name]) for name in SHOWN[run.kind]} for each in strategies}


def _value(figure: Any) -> float | None:
    """A figure of a backtest is a number, one of a simulation has an error beside its value."""
    found: float | None = figure["value"] if isinstance(figure, dict) else figure
    return found
