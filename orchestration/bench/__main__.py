"""The measurements that need a process of their own: `python -m orchestration.bench ingest|recent|ticks|...`.

Started by `ballast bench`, which prepares the workspace; the answer is one JSON document in the file named by --out.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from orchestration.bench.document import Unmeasured
from orchestration.settings import current_settings


def main() -> None:
    parser = argparse.ArgumentParser(prog="orchestration.bench")
    parser.add_argument("what", choices=tuple(_MEASUREMENTS))
    parser.add_argument("--database", required=True, help="URL of the market's database, without a password")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--champions", default="", help="URL of the database whose promotions count")
    parser.add_argument("--numbers", action="store_true", help="ticks must issue scores with numbers")
    parser.add_argument("--share", type=float, default=0.1)
    parser.add_argument("--folder", type=Path, help="where recordings are written")
    parser.add_argument("--series", type=int, default=0, help="recorded coins")
    parser.add_argument("--days", type=int, default=0, help="of each recorded coin")
    parser.add_argument("--paths", type=int, default=0, help="of a stress test")
    parser.add_argument("--steps", type=int, default=0, help="of each of many paths")
    parser.add_argument("--hours", type=int, default=0, help="bars of a backtest")
    parser.add_argument("--rules", type=int, default=1, help="thresholds of a search")
    options = parser.parse_args()
    try:
        found = _MEASUREMENTS[options.what](options)
    except Unmeasured as error:
        raise SystemExit(str(error)) from error  # one line for the person, no traceback
    options.out.write_text(json.dumps(found), encoding="utf-8")


def _ingest(options: argparse.Namespace) -> dict[str, Any]:
    from orchestration.bench import ingest
    from orchestration.migrations.run import migrate
    from orchestration.resources.warehouse import Warehouse
    from orchestration.universe import load_universe

    settings = current_settings()
    migrate(options.database)
    warehouse = Warehouse.connect(options.database)
    try:
        frame = ingest.sample(load_universe(settings.universe_path), settings.seed, options.rows)
        return ingest.measure(warehouse, frame, options.repeats)
    finally:
        warehouse.close()


def _recent(options: argparse.Namespace) -> dict[str, Any]:
    from orchestration.bench import recent

    return recent.fill(current_settings(), options.database, options.champions, options.share)


def _ticks(options: argparse.Namespace) -> dict[str, Any]:
    from orchestration.bench import ticks

    return ticks.measure(current_settings(), options.database, options.repeats, options.numbers)


def _record(options: argparse.Namespace) -> dict[str, Any]:
    from orchestration.bench import recordings

    recordings.write_coins(options.folder, current_settings().seed, options.series, 24 * options.days)
    return {}


def _forecasts(options: argparse.Namespace) -> dict[str, Any]:
    from orchestration.bench import forecasting

    return forecasting.measure(current_settings(), options.database, options.repeats)


def _stress(options: argparse.Namespace) -> dict[str, Any]:
    from orchestration.bench import stress

    return stress.measure(current_settings().seed, options.paths, options.repeats)


def _many_paths(options: argparse.Namespace) -> dict[str, Any]:
    from orchestration.bench import stress

    return stress.measure_many(current_settings().seed, options.paths, options.steps)


def _backtests(options: argparse.Namespace) -> dict[str, Any]:
    from orchestration.bench import backtests

    return backtests.measure(current_settings().seed, options.hours, options.rules, options.repeats)


def _signing(options: argparse.Namespace) -> dict[str, Any]:
    from orchestration.bench import signing

    return signing.measure(options.database, options.repeats)


def _simulations(options: argparse.Namespace) -> dict[str, Any]:
    from orchestration.bench import simulations

    return simulations.measure(options.database, options.repeats)


_MEASUREMENTS = {
    "ingest": _ingest,
    "recent": _recent,
    "ticks": _ticks,
    "record": _record,
    "forecasts": _forecasts,
    "stress": _stress,
    "many-paths": _many_paths,
    "backtests": _backtests,
    "signing": _signing,
    "simulations": _simulations,
}


if __name__ == "__main__":
    main()
