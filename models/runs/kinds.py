"""Every kind of run: how a request and how stored inputs become a plan. A new kind is one entry here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from models.backtest import request as backtest_request
from models.backtest import standard as backtest
from models.contracts.runs import RunKind
from models.runs.bounds import AT_ONCE, AT_ONCE_SHARED
from models.runs.fields import Field
from models.runs.plan import Plan
from models.runs.reading import StoredMarket
from models.stress import request as simulation_request
from models.stress import standard as simulation


@dataclass(frozen=True, slots=True)
class Kind:
    """`request`: its fields; `plan`: of a request; `replan`: of stored inputs, on the data of now. Both raise
    RequestError. `at_once`: work up to which a request is answered at once."""

    request: Mapping[str, Field]
    plan: Callable[[object, StoredMarket], Plan]
    replan: Callable[[Mapping[str, Any], StoredMarket], Plan]
    at_once: int


KINDS: Mapping[RunKind, Kind] = {
    RunKind.BACKTEST: Kind(backtest_request.REQUEST, backtest.plan, backtest.replan, AT_ONCE),
    RunKind.SIMULATION: Kind(simulation_request.REQUEST, simulation.plan, simulation.replan, AT_ONCE_SHARED),
}
