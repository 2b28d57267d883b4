"""Bodies of requests for runs: those that are computed, those that are nearly right, and whatever JSON can say."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from hypothesis import strategies as st

from models.backtest.request import BENCHMARKS, LIMITS, POLICIES
from models.contracts.runs import RunKind
from models.stress.request import GENERATORS, REGIMES
from models.stress.scenario_library import SCENARIOS
from models.stress.shock_catalogue import CATALOGUE
from tests.serving.anything import ANYTHING

Bodies = st.SearchStrategy[Any]
_DAYS = st.dates().map(str) | ANYTHING
_SEEDS = st.integers(0, 2**53 - 1)
_KNOWN = {"vault_id": st.just("mixed")}
_COSTS = {"half_spread_bps": st.floats(0, 1_000), "slippage_bps": st.integers(0, 1_000)}
_GOOD_LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "enter_score": st.floats(75, 100),
        "leave_score": st.integers(0, 70),
        "dead_zone": st.floats(0, 0.4),
        "cooldown_s": st.integers(0, 86_400),
    },
)

# Answered on the market of `tests.stored_market` with 320 days, and small.
GOOD: Mapping[RunKind, Bodies] = {
    RunKind.BACKTEST: st.fixed_dictionaries(
        {**_KNOWN, "placebo_shifts": st.integers(0, 5), "bootstrap_repetitions": st.integers(100, 200)},
        optional={
            **_COSTS,
            "benchmarks": st.lists(st.sampled_from(BENCHMARKS), unique=True),
            "limits": _GOOD_LIMITS,
            "start": st.dates(date(2024, 2, 10), date(2024, 3, 1)).map(str),
            "latency_bars": st.integers(1, 48),
            "seed": _SEEDS,
        },
    ),
    RunKind.SIMULATION: st.fixed_dictionaries(
        {**_KNOWN, "paths": st.integers(100, 1_000), "days": st.integers(2, 30)},
        optional={
            **_COSTS,
            "limits": _GOOD_LIMITS,
            "generator": st.sampled_from([name for name in GENERATORS if name != REGIMES]),
            "shocks": st.just("usual") | st.dictionaries(st.sampled_from(sorted(CATALOGUE)), st.none(), max_size=2),
            "scenario": st.sampled_from(list(SCENARIOS)),
            "leverage": st.floats(1.01, 20),
            "ruin_loss": st.floats(0.01, 0.99),
            "latency_steps": st.integers(1, 48),
            "seed": _SEEDS,
        },
    ),
}
_SHOCKS = st.dictionaries(
    st.sampled_from(sorted(CATALOGUE)),
    st.none()
    | st.dictionaries(
        st.sampled_from(["rate_per_year", "days", "half_life_days", "thin", "tail_sigmas", "fall"]),
        st.floats(-1, 400) | st.integers(-1, 400) | st.lists(st.floats(0, 30), min_size=2, max_size=2) | ANYTHING,
        max_size=2,
    )
    | ANYTHING,
    max_size=3,
)
_VAULTS = st.sampled_from(["mixed", "other"]) | ANYTHING
# The right names, with values inside and outside of what is allowed: refused, queued or computed.
_MEANT: Mapping[RunKind, Bodies] = {
    RunKind.BACKTEST: st.fixed_dictionaries(
        {},
        optional={
            "vault_id": _VAULTS,
            "policies": st.lists(st.sampled_from(POLICIES), max_size=3) | ANYTHING,
            "benchmarks": st.lists(st.sampled_from(BENCHMARKS), max_size=4) | ANYTHING,
            "limits": st.dictionaries(st.sampled_from(sorted(LIMITS)), st.floats(0, 2) | st.integers(0, 99), max_size=4)
            | ANYTHING,
            "start": _DAYS,
            "end": _DAYS,
            "half_spread_bps": st.floats(-1, 2_000) | ANYTHING,
            "latency_bars": st.integers(-1, 60) | ANYTHING,
            "placebo_shifts": st.integers(0, 400) | ANYTHING,
            "bootstrap_repetitions": st.integers(0, 3_000) | ANYTHING,
            "seed": st.integers() | ANYTHING,
            "scores": st.sampled_from(["walk_forward", "issued"]) | ANYTHING,
        },
    ),
    RunKind.SIMULATION: st.fixed_dictionaries(
        {},
        optional={
            "vault_id": _VAULTS,
            "paths": st.integers(0, 1_200_000) | ANYTHING,
            "days": st.integers(0, 400) | ANYTHING,
            "step": st.sampled_from(["hour", "day"]) | ANYTHING,
            "generator": st.sampled_from(GENERATORS) | ANYTHING,
            "start": _DAYS,
            "shocks": st.just("usual") | _SHOCKS | ANYTHING,
            "scenario": st.sampled_from(list(SCENARIOS)) | ANYTHING,
            "scenario_day": st.integers(-1, 30) | ANYTHING,
            "leverage": st.floats(0, 25) | ANYTHING,
            "maintenance": st.floats(-1, 1) | ANYTHING,
            "ruin_loss": st.floats(0, 1) | ANYTHING,
            "latency_steps": st.integers(0, 60) | ANYTHING,
            "seed": st.integers() | ANYTHING,
        },
    ),
}


def bodies(kind: RunKind) -> Bodies:
    """All of these: good ones, good ones with a field or more of any value, and what nobody meant."""
    spoilt = st.builds(lambda good, meant: good | meant, GOOD[kind], _MEANT[kind])
    return GOOD[kind] | spoilt | _MEANT[kind] | ANYTHING
