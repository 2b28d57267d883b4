"""What differs between two runs: their inputs, what they rest on, what came out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from models.runs.identity import Identity
from models.runs.registry import StoredRun

HASHES = ("input_hash", "data_hash", "code_hash", "environment_hash")
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """`path`: dotted; `values`: one for each side, None also where a side has nothing there."""

    path: str
    values: tuple[Any, ...]


def differences(sides: Sequence[Any]) -> list[Difference]:
    """Every leaf that is not the same on all sides, in the order of the last: a database may have sorted the others.
    JSON-able values."""
    return list(_walk("", sides))


def repeated(stored: StoredRun, identity: Identity, summary: Mapping[str, Any]) -> tuple[list[str], list[Difference]]:
    """Hashes (by name) and figures in which a repetition differs from a stored run; both empty: it is equal."""
    hashes = [name for name in HASHES if getattr(stored, name) != getattr(identity, name)]
    return hashes, differences([stored.summary, summary])


def _walk(path: str, sides: Sequence[Any]) -> Iterator[Difference]:
    if all(side == sides[0] for side in sides[1:]):
        return
    if all(isinstance(side, Mapping) for side in sides):
        for name in dict.fromkeys(name for side in reversed(sides) for name in side):
            yield from _walk(f"{path}.{name}".lstrip("."), [side.get(name, _MISSING) for side in sides])
    elif all(isinstance(side, list | tuple) for side in sides):
        for n, items in enumerate(zip_longest(*sides, fillvalue=_MISSING)):
            yield from _walk(f"{path}.{n}".lstrip("."), items)
    else:
        yield Difference(path, tuple(None if side is _MISSING else side for side in sides))
