"""How long the bodies of a Dagster run take by themselves.

Dagster times steps, and a step's time includes writing its events. Nothing public surrounds a body alone, so the one
function through which Dagster calls every body is replaced while a measurement lasts.
"""

from __future__ import annotations

import inspect
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from dagster._core.execution.plan import compute_generator


@contextmanager
def timed_bodies() -> Iterator[dict[str, float]]:
    """Seconds that bodies took inside the block, by step; a body that yields is on the clock only while it works."""
    spent: dict[str, float] = defaultdict(float)
    called: Callable[..., Any] = compute_generator.invoke_compute_fn

    def invoke(function: Callable[..., Any], context: Any, *arguments: Any, **named: Any) -> Any:
        step = str(context.op_execution_context.op_handle)
        began = time.perf_counter()
        result = called(function, context, *arguments, **named)
        spent[step] += time.perf_counter() - began
        return _on_the_clock(result, step, spent) if inspect.isgenerator(result) else result

    vars(compute_generator)["invoke_compute_fn"] = invoke
    try:
        yield spent
    finally:
        vars(compute_generator)["invoke_compute_fn"] = called


def _on_the_clock(body: Iterator[Any], step: str, spent: dict[str, float]) -> Iterator[Any]:
    while True:
        began = time.perf_counter()
        try:
            result = next(body)
        except StopIteration:
            return
        finally:
            spent[step] += time.perf_counter() - began
        yield result
