"""Every kind of run: how a request and how stored inputs become a plan. A new kind is one entry here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from models.backtest import standard
from models.backtest.request import REQUEST
from models.contracts.runs import RunKind
from models.runs.fields import Field
from models.runs.plan import Plan
from models.runs.reading import StoredMarket


@dataclass(frozen=True, slots=True)
class Kind:
    """`request`: its fields; `plan`: of a request; `replan`: of stored inputs, on the data of now. Both raise
    RequestError."""

    request: Mapping[str, Field]
    plan: Callable[[object, StoredMarket], Plan]
    replan: Callable[[Mapping[str, Any], StoredMarket], Plan]


KINDS: Mapping[RunKind, Kind] = {RunKind.BACKTEST: Kind(REQUEST, standard.plan, standard.replan)}
