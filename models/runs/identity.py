"""What a run rests on, as hashes: its inputs, its data, the code and the environment that compute it.

Equal hashes mean an equal result: a run is found again by its id, and a repetition that differs can say why. The only
files read here are the sources of the project themselves.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from models.contracts.runs import RunKind

_ROOT = Path(__file__).resolve().parents[2]
_SHORT = 16  # hex digits: 64 bits, plenty for some thousand runs and short enough to read
_SHARED = ("models/allocation", "models/contracts", "models/runs")
# Whoever can change a number of a run of this kind lives here: a test holds it to what is imported.
SOURCES: Mapping[RunKind, tuple[str, ...]] = {
    RunKind.BACKTEST: (*_SHARED, "models/backtest", "models/regimes"),
    RunKind.SIMULATION: (
        *_SHARED,
        "models/backtest",
        "models/regimes",
        "models/risk",
        "models/stress",
        "models/timeseries",
        "models/volatility",
    ),
}
_PACKAGES = ("numpy", "scipy", "numba", "arch", "pandas")


@dataclass(frozen=True, slots=True)
class Identity:
    """`id`: kind and digest of all four hashes. `environment`: versions behind `environment_hash`, by name."""

    id: str
    input_hash: str
    data_hash: str
    code_hash: str
    environment_hash: str
    environment: Mapping[str, str]


def identify(kind: RunKind, inputs: Mapping[str, Any], data_hash: str) -> Identity:
    """Identity of a run under the code and in the environment of this process.

    Parameters
    ----------
    inputs : JSON-able, complete: whatever else than data, code and environment decides the result.
    """
    environment = versions()
    hashes = digest_of(inputs), data_hash, code_hash(kind), digest_of(environment)
    return Identity(f"{kind.value}-{digest_of([kind.value, *hashes])}", *hashes, environment)


def digest_of(value: object) -> str:
    """Digest of a JSON-able value; the order of keys does not count.

    Raises
    ------
    ValueError, TypeError
        NaN, infinity, or what JSON does not know.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_SHORT]


def digest_of_arrays(**arrays: np.ndarray) -> str:
    """Digest of named arrays: names, types, shapes and bytes."""
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(f"{name}:{array.dtype.str}:{array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:_SHORT]


@cache
def code_hash(kind: RunKind, root: Path = _ROOT) -> str:
    """Digest of the sources behind a kind of run, by path and content; taken once, as code is loaded once."""
    digest = hashlib.sha256()
    for folder in SOURCES[kind]:
        for path in sorted((root / folder).rglob("*.py")):
            digest.update(f"{path.relative_to(root).as_posix()}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:_SHORT]


@cache
def versions() -> Mapping[str, str]:
    """Python, machine and the numerical packages: another build may round differently."""
    found = {name: version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), "machine": platform.machine(), **found}
