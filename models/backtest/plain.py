"""Results as JSON: dataclasses and arrays to dictionaries, lists, numbers and text; NaN and infinity to None."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import numpy as np


def as_plain(value: object) -> Any:
    """What `json.dumps(..., allow_nan=False)` accepts, from any result of the backtest.

    Moments become ISO text, exact decimals text, enumerations their value, tuples lists.

    Raises
    ------
    TypeError
        For what has no place in a result.
    """
    if isinstance(value, Enum):
        return as_plain(value.value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, np.datetime64):
        return f"{value.astype('datetime64[s]')}Z"
    if isinstance(value, np.generic):
        return as_plain(value.item())
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: as_plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [as_plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} is no part of a result")
