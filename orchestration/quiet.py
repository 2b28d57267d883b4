"""Silence for libraries that warn about themselves. Ours are errors in tests; theirs would only bury a real message."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def libraries() -> Iterator[None]:
    """Drop warnings raised inside, such as deprecations of one library by another (great_expectations 1.24 still
    imports `sre_constants`, mlflow 3.17 asks for type hints in a file it has read the signature for)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
