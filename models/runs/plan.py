"""A run before and after it is computed, whatever its kind.

A kind brings a function that makes a `Plan` of its inputs; registry, job, API and command line know nothing else of
it. `models.runs.kinds` lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from models.backtest.sufficiency import Shortage
from models.contracts.runs import RunKind
from models.runs.identity import Identity, identify


class RequestError(ValueError):
    """A run that cannot be asked for. `field`: the dotted path of what is wrong; the message says what would do."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field, self.message = field, message


class NotEnough(RequestError):
    """The data do not answer the question yet; `shortage` says which question they answer."""

    def __init__(self, field: str, message: str, shortage: Shortage) -> None:
        super().__init__(field, message)
        self.shortage = shortage


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run leaves behind, all JSON-able: `summary` is what two runs are compared by; `curve` and `trades` are
    looked at, and bounded."""

    summary: Mapping[str, Any]
    curve: Mapping[str, Any] = field(default_factory=dict)
    trades: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Plan:
    """A run that can be computed.

    `inputs`: JSON-able and complete, every default written out: from them the same plan is made again. `work`: how much
    there is to do, in units of `models.runs.bounds`. `compute` depends on nothing outside.
    """

    kind: RunKind
    inputs: Mapping[str, Any]
    data_hash: str
    seed: int
    work: int
    compute: Callable[[], Outcome]

    @property
    def identity(self) -> Identity:
        return identify(self.kind, self.inputs, self.data_hash)
