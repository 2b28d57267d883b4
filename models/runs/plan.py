"""A run before and after it is computed, whatever its kind.

A kind brings a function that makes a `Plan` of its inputs; registry, job, API and command line know nothing else of
it. `models.runs.kinds` lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from models.contracts.running import Runner
from models.contracts.runs import RunKind
from models.runs.identity import Identity, identify

if TYPE_CHECKING:  # it stands on pandas, which reading a request need not load
    from models.backtest.sufficiency import Shortage


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


class Cancelled(Exception):
    """Somebody wants the run no more; raised by a `Watch`, passed on by whatever computes."""


# Told how far a run is (share, 0-1), every now and then; raises Cancelled to end it.
Watch = Callable[[float], None]


def unwatched(share: float) -> None:
    """Nobody looks, nobody cancels."""


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
    there is to do, in units of `models.runs.bounds`. `compute` depends on nothing outside; it tells its watch how far
    it is. `share`: the same, to the byte, by a runner that shares it; None where a run is not cut into tasks.
    """

    kind: RunKind
    inputs: Mapping[str, Any]
    data_hash: str
    seed: int
    work: int
    compute: Callable[[Watch], Outcome]
    share: Callable[[Watch, Runner], Outcome] | None = None

    @property
    def identity(self) -> Identity:
        return identify(self.kind, self.inputs, self.data_hash)
