"""Hashes that say what a result rests on: the data it saw and the code that made it."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from orchestration.settings import PROJECT_ROOT

# Whoever changes a forecast or its evaluation lives here; wiring does not change a number.
_NUMERICAL = (
    "models/contracts",
    "models/timeseries",
    "models/regimes",
    "models/volatility",
    "models/validation",
    "models/risk",
)
_SHORT = 16  # hex digits: 64 bits, plenty for a few thousand evaluations and short enough to read


def data_hash(frame: pd.DataFrame) -> str:
    """Hash of column names and cells in their order. Equal frames have equal hashes on every machine."""
    digest = hashlib.sha256()
    for name in frame.columns:
        values = frame[name]
        digest.update(f"{name}:{values.dtype}\n".encode())
        if isinstance(values.dtype, np.dtype) and values.dtype.kind in "biufM":
            digest.update(np.ascontiguousarray(values.to_numpy()).tobytes())
        else:
            digest.update(np.ascontiguousarray(pd.util.hash_pandas_object(values, index=False).to_numpy()).tobytes())
    return digest.hexdigest()[:_SHORT]


@cache
def code_hash(root: Path = PROJECT_ROOT) -> str:
    """Hash of the numerical source files, by path and content; taken once, as code is loaded once."""
    digest = hashlib.sha256()
    for folder in _NUMERICAL:
        for path in sorted((root / folder).rglob("*.py")):
            digest.update(f"{path.relative_to(root).as_posix()}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:_SHORT]


def evaluation_id(panel: str, horizon_days: int, data: str, code: str) -> str:
    """Identity of an evaluation: the same inputs never have to be evaluated twice."""
    return f"{panel}-{horizon_days}d-{hashlib.sha256(f'{data}{code}'.encode()).hexdigest()[:_SHORT]}"
