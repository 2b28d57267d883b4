"""The document of a bench: made of what each stage found, kept on disk as it grows. Pure but for `keep`.

A stage that failed stands in it with its reason, and so does every figure that would have been made of it: a reader
never has to guess whether a missing figure was forgotten.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestration.bench.figures import figure, figures, ratio

INGEST, PLAY, API = "ingest", "play", "api"
FEW_SERIES, MANY_SERIES, FORECASTS = "retraining of few series", "retraining of many series", "forecasts"
STRESS, MANY_PATHS, BACKTESTS = "stress paths", "many stress paths", "backtests"
SIGNING = "decision to signature"
SOAK, SIMULATIONS = "soak", "simulations"
NEWEST_TENTH, TICKS_1X, TICKS_10X, FRESH = (
    "newest tenth", "ticks at 1x", "ticks at 10x", "ticks in fresh processes",
)  # fmt: skip

_PEAKS = {
    PLAY: "play",
    FRESH: "tick_in_a_fresh_process",
    API: "api_server",
    FEW_SERIES: "retraining_of_few_series",
    MANY_SERIES: "retraining_of_many_series",
    MANY_PATHS: "many_stress_paths",
}
_NOTHING = math.nan  # written as null
_MB = "peak_mb"  # what a stage calls its peak memory; it is shown with those of the others


class Unmeasured(RuntimeError):
    """A stage ran, but what it found is no measurement; the message says why."""


@dataclass(slots=True)
class Outcome:
    """What came of the stages until now, each by its name. A stage is in `found` or in `failed`."""

    found: dict[str, dict[str, Any]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    load: dict[str, float] = field(default_factory=dict)

    def why_not(self, needs: Sequence[str]) -> str | None:
        """Why a stage that needs these cannot run; None when it can."""
        missing = [name for name in needs if name not in self.found]
        return f"it needs what failed or has not run: {', '.join(missing)}" if missing else None


def document(outcome: Outcome) -> dict[str, Any]:
    """All sections, whatever is missing. A section without figures says why under `not_measured`."""
    return {
        "failures": [{"stage": name, "reason": reason} for name, reason in outcome.failed.items()],
        "ingest": _section(outcome, INGEST),
        "hourly_tick": {
            "how": "hourly_refresh in one process, the market's clock an hour later each time, one to warm up. 10x is "
            "the whole history, 1x its newest tenth in a workspace of its own, which scores with the same registered "
            "champions: they were trained once, on the whole history. A tenth is too short for a published number: its "
            "forecasts are made and marked as resting on insufficient data",
            "history_1x": _section(outcome, TICKS_1X),
            "history_10x": _section(outcome, TICKS_10X),
            "wall_time_10x_to_1x": _ratio(outcome, (TICKS_10X, "wall_time"), (TICKS_1X, "wall_time")),
        },
        "orchestration_overhead": {
            "how": "history_10x. Bodies are timed inside the ticks above; a fresh process imports, loads the "
            "definitions and runs the same job, as the launcher of the daemon does",
            "tick_in_process": _copied(outcome, TICKS_10X, "wall_time"),
            "sum_of_bodies": _copied(outcome, TICKS_10X, "sum_of_bodies"),
            "in_process_to_bodies": _ratio(outcome, (TICKS_10X, "wall_time"), (TICKS_10X, "sum_of_bodies")),
            "tick_in_a_fresh_process": _copied(outcome, FRESH, "wall_time"),
            "fresh_process_to_in_process": _ratio(outcome, (FRESH, "wall_time"), (TICKS_10X, "wall_time")),
            "fresh_process_to_bodies": _ratio(outcome, (FRESH, "wall_time"), (TICKS_10X, "sum_of_bodies")),
        },
        "peak_memory": {
            "how": "resident set of the largest single process of each command, as the kernel counts it",
            **figures({told: _found(outcome, stage).get(_MB, _NOTHING) for stage, told in _PEAKS.items()}, "MB"),
        },
        "play": _section(outcome, PLAY),
        "api": {**_section(outcome, API), "soak": _section(outcome, SOAK)},
        "simulations": _section(outcome, SIMULATIONS),
        "retraining": {
            "how": "first play of a fresh workspace over recorded hourly coins: storing them, features, walk-forward "
            "of all members, leak checks, fits, registration, scores",
            "few_series": _section(outcome, FEW_SERIES),
            "many_series": _section(outcome, MANY_SERIES),
            "wall_time_many_to_few": _ratio(outcome, (MANY_SERIES, "wall_time"), (FEW_SERIES, "wall_time")),
        },
        "forecasts": _section(outcome, FORECASTS),
        "stress": {**_section(outcome, STRESS), "many_paths": _section(outcome, MANY_PATHS)},
        "backtests": _section(outcome, BACKTESTS),
        "decision_to_signed_envelope": _section(outcome, SIGNING),
        "time_of_each_stage": figures(outcome.seconds, "s"),
        "load_after_each_stage": figures(
            outcome.load, "runnable processes, mean of a minute; the bench itself makes 1-2"
        ),
    }


def keep(path: Path, whole: Mapping[str, Any]) -> None:
    """Write the document in one piece: who reads it meanwhile sees the one before or this one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(written(whole), encoding="utf-8")
    fresh.replace(path)


def written(whole: Mapping[str, Any]) -> str:
    """The document as text."""
    return json.dumps(whole, indent=2, allow_nan=False) + "\n"


def _found(outcome: Outcome, stage: str) -> dict[str, Any]:
    return outcome.found.get(stage, {})


def _section(outcome: Outcome, stage: str) -> dict[str, Any]:
    if stage in outcome.found:
        return {name: value for name, value in outcome.found[stage].items() if name != _MB}
    return {"not_measured": f"{stage} failed: see failures" if stage in outcome.failed else "it has not run"}


def _copied(outcome: Outcome, stage: str, name: str) -> dict[str, Any]:
    copied: dict[str, Any] = _found(outcome, stage).get(name, figure(_NOTHING, "s"))
    return copied


def _ratio(outcome: Outcome, value: tuple[str, str], of: tuple[str, str]) -> dict[str, Any]:
    seconds = [_copied(outcome, *place)["value"] for place in (value, of)]
    return ratio(*(_NOTHING if s is None else s for s in seconds))
