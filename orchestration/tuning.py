"""A search of the hyper-parameters of the pooled trees: budgeted, resumable, logged. Choosing them stays with a person.

Trials are kept in a journal of the workspace, named by panel, horizon, data and code: a search that was interrupted
goes on where it stopped, and one on other data or code begins anew. The first trial is what is in force.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import optuna
import pandas as pd
from matplotlib.figure import Figure
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from models.validation.tuning import RANGES, Verdict, forecasts, judge, losses, search_end, until
from models.volatility.lightgbm_forecaster import PARAMETERS, rounds_for
from models.volatility.panel import build_panel
from orchestration.assets.evaluation import Work
from orchestration.resources.model_registry import ModelRegistry
from orchestration.resources.workspace import Workspace

Told = Callable[[int, float, float], None]  # trial, its loss, the best loss so far


@dataclass(frozen=True, slots=True)
class Search:
    """`trials`: one row each, best first, with `trial`, `loss` and the hyper-parameters; `found`: those of the best."""

    name: str
    trials: pd.DataFrame
    found: dict[str, float]
    verdict: Verdict


def search(
    workspace: Workspace, registry: ModelRegistry, work: Work, trials: int, minutes: float, told: Told
) -> Search:
    """Try until there are `trials` of them, earlier sessions included, or `minutes` have passed; then judge the best.

    Raises
    ------
    ValueError
        The panel has too few dates to search on some and judge on others.
    """
    optuna.logging.set_verbosity(logging.ERROR)
    panel, run = build_panel(work.rows, work.kind), workspace.runner(len(work.rows))
    end = search_end(panel)
    known = until(panel, end)
    name = f"search-{work.id}"
    study = optuna.create_study(
        study_name=name, storage=_journal(workspace, name), direction="minimize", load_if_exists=True
    )
    for left in study.get_trials(states=(TrialState.RUNNING,)):  # by a session that was killed
        study.tell(left.number, state=TrialState.FAIL)

    def objective(trial: optuna.Trial) -> float:
        changed = _asked(trial)
        return float(losses(known, forecasts(known, work.horizon_days, changed, run), work.horizon_days).mean())

    stop = time.monotonic() + 60.0 * minutes
    while (made := len(_complete(study))) < trials and (not made or time.monotonic() < stop):
        if not made and not study.get_trials(states=(TrialState.WAITING,)):
            study.enqueue_trial(_in_force(work.horizon_days))
        # A sampler of its own for each trial: one that goes on after an interruption asks what it would have asked.
        study.sampler = optuna.samplers.TPESampler(seed=workspace.settings.seed + made, multivariate=True)
        study.optimize(objective, n_trials=1)
        newest = _complete(study)[-1]
        told(made, float(newest.value or np.nan), study.best_value)
    found = dict(study.best_params)
    verdict = replace(judge(panel, work.horizon_days, found, end, run), looks=_looks(study))
    ended = Search(name, _table(study), found, verdict)
    _log(registry, work, ended, pd.Timestamp(end))
    return ended


def _in_force(horizon_days: int) -> dict[str, float]:
    return {**{n: PARAMETERS[n] for n in RANGES if n != "rounds"}, "rounds": rounds_for(horizon_days)}


def _looks(study: optuna.Study) -> int:
    """How many different sets were judged on the later dates, this one included; kept in the journal."""
    judged = sorted({*study.user_attrs.get("judged", []), study.best_trial.number})
    study.set_user_attr("judged", judged)
    return len(judged)


def _asked(trial: optuna.Trial) -> dict[str, float]:
    return {
        name: trial.suggest_int(name, int(allowed.low), int(allowed.high), log=allowed.log)
        if allowed.whole
        else trial.suggest_float(name, allowed.low, allowed.high, log=allowed.log)
        for name, allowed in RANGES.items()
    }


def _journal(workspace: Workspace, name: str) -> JournalStorage:
    folder = workspace.settings.workspace / "searches"
    folder.mkdir(parents=True, exist_ok=True)
    return JournalStorage(JournalFileBackend(str(folder / f"{name}.journal")))


def _complete(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return study.get_trials(states=(TrialState.COMPLETE,))


def _table(study: optuna.Study) -> pd.DataFrame:
    rows = [{"trial": trial.number, "loss": trial.value, **trial.params} for trial in _complete(study)]
    return pd.DataFrame(rows).sort_values(["loss", "trial"], ignore_index=True)


def _log(registry: ModelRegistry, work: Work, made: Search, end: pd.Timestamp) -> None:
    run_id = registry.open_run(made.name, made.name, {"panel": work.kind.value})
    verdict = made.verdict
    registry.log(
        run_id,
        params={
            "panel": work.kind.value, "horizon_days": work.horizon_days, "data_hash": work.data, "code_hash": work.code,
            "search_end": end.isoformat(),
        },
        metrics={
            "trials": float(len(made.trials)), "best_loss": float(made.trials["loss"].iloc[0]),
            "later.dates": float(verdict.dates), "later.ratio": verdict.ratio,
            "later.ratio_uncapped": verdict.ratio_uncapped, "later.p_value": verdict.p_value,
            "later.looks": float(verdict.looks),
            "later.better": float(verdict.better), **{f"found.{name}": float(x) for name, x in made.found.items()},
        },
        figures={"plots/trials.png": _picture(made.trials)},
        tables={"trials.csv": made.trials},
    )  # fmt: skip


def _picture(trials: pd.DataFrame) -> Figure:
    """Loss of each trial in its order, and the best until then."""
    figure = Figure(figsize=(9.0, 4.5), layout="constrained")
    axes = figure.subplots()
    ordered = trials.sort_values("trial")
    axes.plot(ordered["trial"].to_numpy(), ordered["loss"].to_numpy(), ".", label="trial")
    axes.step(ordered["trial"].to_numpy(), ordered["loss"].cummin().to_numpy(), where="post", label="best so far")
    axes.set_xlabel("trial (the first is what is in force)")
    axes.set_ylabel("QLIKE on the dates of the search")
    axes.legend(frameon=False)
    return figure
