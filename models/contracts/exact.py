"""Values of the contracts as JSON and back, without loss: what a record must say to be asked again later.

Decimals and floats become text (NaN and infinity too), moments ISO text, enumerations their value, sets sorted lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def written(value: object) -> Any:
    """`value` in terms of JSON.

    Raises
    ------
    TypeError
        For a kind of value that no contract has.
    """
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: written(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): written(item) for key, item in value.items()}
    if isinstance(value, frozenset):
        return sorted(written(item) for item in value)
    if isinstance(value, list | tuple):
        return [written(item) for item in value]
    raise TypeError(f"{type(value).__name__} is no part of a record")


def read_back(kind: type[T], value: Any) -> T:
    """The value of type `kind` that `written` made `value` of.

    A field that the record does not have takes its default; one that the type no longer has is passed over.

    Raises
    ------
    KeyError
        If a field without a default is missing.
    TypeError, ValueError
        If the record does not fit the type.
    """
    found: T = _read(kind, value)
    return found


def _read(kind: Any, value: Any) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return None if value is None else _read(next(k for k in inner if k is not type(None)), value)
    if is_dataclass(kind):
        return _read_fields(kind, value)
    if origin is tuple:
        return tuple(_read(inner[0], item) for item in value)
    if origin is frozenset:
        return frozenset(_read(inner[0], item) for item in value)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {key: _read(inner[1], item) for key, item in value.items()}
    if kind is datetime:
        return datetime.fromisoformat(value)
    if kind in (bool, int) and not isinstance(value, int):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return kind(value)


def _read_fields(kind: Any, value: Any) -> Any:
    hints = get_type_hints(kind)
    known = {f.name: _read(hints[f.name], value[f.name]) for f in fields(kind) if f.name in value}
    try:
        return kind(**known)
    except TypeError as error:
        raise KeyError(f"{kind.__name__}: {error}") from error
