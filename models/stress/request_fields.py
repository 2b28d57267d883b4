"""Fields of a simulation that name shocks and scenarios. Both stand on compiled kernels, which the command line does
not load to describe its options: catalogue and library are imported where they are read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from models.runs.fields import Choice, shown
from models.runs.plan import RequestError

if TYPE_CHECKING:
    from models.stress.shock_base import Shock

USUAL = "usual"
_SHOWN = 200  # characters of what a shock says of its fields


@dataclass(frozen=True, slots=True)
class ScenarioName:
    """A scenario of the library."""

    about: str
    default: str | None = None
    required: bool = False

    def read(self, path: str, value: object) -> str:
        return self._choice().read(path, value)

    def schema(self) -> dict[str, Any]:
        return self._choice().schema()

    def _choice(self) -> Choice:
        from models.stress.scenario_library import SCENARIOS

        return Choice(self.about, tuple(SCENARIOS))


@dataclass(frozen=True, slots=True)
class Shocks:
    """Shocks of the catalogue: `usual`, or an object of names and the fields that differ. Read as shocks by name, in
    the order of the catalogue."""

    about: str
    default: Mapping[str, Any] | None = None
    required: bool = False

    def read(self, path: str, value: object) -> dict[str, Shock]:
        from models.stress.shock_catalogue import DEFAULT_SHOCKS

        if value == USUAL:
            return {shock.name: shock for shock in DEFAULT_SHOCKS}
        if not isinstance(value, Mapping):
            raise RequestError(
                path, f'must be "{USUAL}" or an object of names like {{"gap": {{}}}}, not {shown(value)}'
            )
        return {name: _shock(path, name, value[name]) for name in _in_order(value)}

    def schema(self) -> dict[str, Any]:
        from models.stress.shock_catalogue import CATALOGUE

        changed = {"type": ["object", "null"]}
        return {
            "type": ["string", "object"], "pattern": f"^{USUAL}$", "additionalProperties": False,
            "properties": dict.fromkeys(CATALOGUE, changed), "examples": [USUAL, {"gap": {"rate_per_year": 4}}],
        }  # fmt: skip


def _shock(path: str, name: str, changes: object) -> Shock:
    from models.stress.shock_catalogue import CATALOGUE, shock_named

    if name not in CATALOGUE:
        raise RequestError(path, f"there is no shock {shown(name)}; there are {', '.join(CATALOGUE)}")
    if changes is not None and not isinstance(changes, Mapping):
        raise RequestError(f"{path}.{name}", f"must be an object of the fields that differ, not {shown(changes)}")
    if not all(map(_is_finite, _numbers(changes))):
        raise RequestError(f"{path}.{name}", "holds a number of no usual size; leave the field out instead")
    try:
        return shock_named(name, changes)
    except ValueError as error:
        said = ascii(str(error))[1:-1]
        raise RequestError(f"{path}.{name}", said if len(said) <= _SHOWN else f"{said[:_SHOWN]}...") from error


def _numbers(value: object) -> Iterator[int | float]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _numbers(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, int | float):
        yield value


def _is_finite(value: float) -> bool:
    return abs(value) < 1e18 and math.isfinite(value)


def plain_shocks(shocks: Mapping[str, Shock]) -> dict[str, Any]:
    """JSON-able; `shocks_of` reads it back."""
    from models.stress.shock_catalogue import fields_of

    return {name: fields_of(shock) for name, shock in shocks.items()}


def shocks_of(stored: Mapping[str, Any]) -> dict[str, Shock]:
    """Shocks as they were stored with a run."""
    from models.stress.shock_catalogue import shock_named

    return {name: shock_named(name, stored[name]) for name in _in_order(stored)}


def _in_order(names: Mapping[str, Any]) -> list[str]:
    """The order of the catalogue, then what is not in it: neither who asks nor a database decides it."""
    from models.stress.shock_catalogue import CATALOGUE

    return [name for name in CATALOGUE if name in names] + [name for name in names if name not in CATALOGUE]
