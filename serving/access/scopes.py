"""What each route needs, declared beside it: `APIRouter(dependencies=[needs(Scope.READ)])`, or `open_to_all()`.

A route without such a line cannot be served: `undeclared` finds it, and the application refuses to start.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.params import Depends as Dependency
from fastapi.routing import iter_route_contexts
from starlette.requests import Request

from models.access.keys import Scope

# Made by the framework, not by a router; it says how to ask and holds no answer.
_OF_THE_FRAMEWORK = ("/openapi.json",)


@dataclass(frozen=True, slots=True)
class Needs:
    """A declaration, and the dependency that holds requests to it."""

    scope: Scope | None

    async def __call__(self, request: Request) -> None:
        if self.scope is not None:
            await request.app.state.gate.admit(request, self.scope)


def needs(scope: Scope) -> Any:
    """For `dependencies` of a route or router: who calls it needs this scope."""
    return Depends(Needs(scope))


def open_to_all() -> Any:
    """For `dependencies` of a route or router: no key is asked for and nobody is counted."""
    return Depends(Needs(None))


@dataclass(frozen=True, slots=True)
class Declared:
    """A route with its methods. `needed`: every declaration that applies to it; several of them are all asked for."""

    path: str
    methods: tuple[str, ...]
    needed: tuple[Needs, ...]


def declared(app: FastAPI) -> Iterator[Declared]:
    """All routes of an application, in the order in which they are matched."""
    for context in iter_route_contexts(app.routes):
        path = context.path or str(getattr(context.original_route, "path", context.original_route))
        asked: Sequence[Dependency] = getattr(context, "dependencies", None) or ()
        needed = tuple(each.dependency for each in asked if isinstance(each.dependency, Needs))
        if not needed and path in _OF_THE_FRAMEWORK:
            needed = (Needs(None),)
        yield Declared(path, tuple(sorted(context.methods or ())), needed)


def refuse_undeclared(app: FastAPI) -> None:
    """Raises RuntimeError if a route does not say what it needs."""
    if silent := [route.path for route in declared(app) if not route.needed]:
        raise RuntimeError(
            f"{', '.join(silent)}: say beside the route or its router what it needs (serving.access.scopes)"
        )
