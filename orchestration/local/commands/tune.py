"""`ballast tune`: search hyper-parameters of the pooled trees within a budget, and say whether they hold later."""

from __future__ import annotations

import argparse

from models.contracts.horizons import PROTOCOLS
from models.contracts.market import SeriesKind
from orchestration.local.commands.common import CommandError, Context, Subparsers, desk, leaf
from orchestration.local.report import table_of

_POOLS = (SeriesKind.CANDLES, SeriesKind.RANGES, SeriesKind.FIXINGS)
_SHOWN = 5


def register(commands: Subparsers) -> None:
    parser = leaf(
        commands, "tune", "search hyper-parameters of the trees on early dates, judge them on later ones", tune
    )
    parser.add_argument("--panel", required=True, choices=[kind.value for kind in _POOLS])
    parser.add_argument("--horizon", required=True, type=int, metavar="DAYS")
    parser.add_argument("--trials", type=int, default=40, help="in all, earlier sessions included (default: 40)")
    parser.add_argument(
        "--minutes", type=float, default=30.0, help="at most, then the best so far is judged (default: 30)"
    )


def tune(context: Context, options: argparse.Namespace) -> int:
    """Nothing is changed: the verdict and the parameters are told, and logged in MLflow."""
    kind = SeriesKind(options.panel)
    horizons = PROTOCOLS[kind].horizons
    if options.horizon not in horizons:
        raise CommandError(f"--horizon: {kind.value} are forecast {' and '.join(map(str, horizons))} days ahead")
    if options.trials < 1 or not options.minutes > 0:
        raise CommandError("--trials and --minutes: the budget must be positive")
    with desk(context) as (workspace, registry):
        from orchestration.assets.evaluation import works
        from orchestration.tuning import search

        asked = (work for work in works(workspace) if (work.kind, work.horizon_days) == (kind, options.horizon))
        work = next(asked, None)
        if work is None:
            raise CommandError(
                f"no {kind.value} are scored in this market, or no features have been built: ballast run"
            )

        def told(trial: int, loss: float, best: float) -> None:
            context.errors.print(f"trial {trial}: QLIKE {loss:.4f}, best {best:.4f}", highlight=False)

        try:
            made = search(workspace, registry, work, options.trials, options.minutes, told)
        except ValueError as error:
            raise CommandError(str(error)) from error
    names = [name for name in made.trials.columns if name not in ("trial", "loss")]
    table = table_of("Best trials on the dates of the search", ("trial",), ("QLIKE", *names))
    for row in made.trials.head(_SHOWN).to_dict("records"):
        table.add_row(str(row["trial"]), f"{row['loss']:.4f}", *(f"{row[name]:.3g}" for name in names))
    context.console.print(table)
    verdict = made.verdict
    word = "better" if verdict.better else "not better"
    context.console.print(
        f"On {verdict.dates} later dates the best trial is {word} than what is in force: QLIKE "
        f"{verdict.ratio:.4f} of it (p = {verdict.p_value:.3f}), uncapped {verdict.ratio_uncapped:.4f}. Nothing was "
        f"changed; MLflow has it as {made.name}.",
        highlight=False,
    )
    return 0
