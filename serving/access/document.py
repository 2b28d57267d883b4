"""What the API's document says about access: how to send a key or a token, what each path needs, how it is refused."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from serving.access.callers import Forbidden, Unauthenticated
from serving.access.scopes import declared
from serving.access.settings import AccessSettings
from serving.errors import PROBLEM_JSON, Problem

_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key (`ballast_...`), or a token of the identity provider where one is set.",
    },
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key."},
}
_BUSY = Problem(429, "too_many_requests", "Too many requests", "More requests than are allowed in a minute were made.")
_ID = "3f0c9b6a3c7e4c0f8f2d8f6f1f0b9e55"


def with_access(document: dict[str, Any], app: FastAPI, settings: AccessSettings) -> dict[str, Any]:
    """The OpenAPI document with security schemes, and with the refusals of every path that needs a scope."""
    document.setdefault("components", {})["securitySchemes"] = _SCHEMES
    for route in declared(app):
        needed = {each.scope for each in route.needed if each.scope is not None}
        for method in route.methods:
            operation = document["paths"].get(route.path, {}).get(method.lower())
            if operation is None or not needed:
                continue
            operation["security"] = [{name: sorted(needed)} for name in _SCHEMES]
            if needed <= settings.public:
                operation["security"].append({})  # nothing at all is also enough
            for scope in needed:
                for problem in (Unauthenticated(False), Forbidden(scope), _BUSY):
                    operation["responses"].setdefault(str(problem.status), _refusal(problem, route.path))
    return document


def _refusal(problem: Problem, path: str) -> dict[str, Any]:
    example = {
        "type": f"urn:ballast:problem:{problem.code}", "title": problem.title, "status": problem.status,
        "detail": problem.detail, "code": problem.code, "instance": path, "request_id": _ID, **problem.extra,
    }  # fmt: skip
    schema = {"$ref": "#/components/schemas/ProblemDetail"}
    headers = {"WWW-Authenticate": "How to ask, and what is missing."}
    if problem is _BUSY:
        headers = {"Retry-After": "Seconds until there is room again.", "RateLimit": "What is left, and until when."}
    return {
        "description": problem.title,
        "headers": {name: {"description": about, "schema": {"type": "string"}} for name, about in headers.items()},
        "content": {PROBLEM_JSON: {"schema": schema, "example": example}},
    }
