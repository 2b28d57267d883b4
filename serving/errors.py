"""One error shape for every answer that is not a success: RFC 9457 problem details."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from starlette.exceptions import HTTPException

from models.access.keys import redacted
from serving.middleware import request_id

PROBLEM_JSON = "application/problem+json"
_log = logging.getLogger(__name__)


class Problem(Exception):
    """An answer that is not a success. `code` is stable and machine-readable; `detail` says the way out."""

    def __init__(
        self, status: int, code: str, title: str, detail: str, extra: Mapping[str, Any] | None = None, *,
        field: str | None = None, retry_after_s: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(detail)
        self.status, self.code, self.title, self.detail = status, code, title, detail
        self.field, self.retry_after_s, self.extra = field, retry_after_s, dict(extra or {})
        self.headers: dict[str, str] = {}


def problem_response(request: Request, problem: Problem) -> JSONResponse:
    body: dict[str, Any] = {
        "type": f"urn:ballast:problem:{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "instance": redacted(request.scope["path"]),  # answers are kept where keys should not be
        "request_id": request_id(request),
    }
    if problem.field is not None:
        body["field"] = problem.field
    body |= problem.extra
    headers = dict(problem.headers)
    if problem.retry_after_s is not None:
        headers["Retry-After"] = str(problem.retry_after_s)
    return JSONResponse(body, status_code=problem.status, media_type=PROBLEM_JSON, headers=headers)


def _on_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return problem_response(request, error)


def _on_invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    problem = Problem(
        422, "invalid_parameter", "A parameter is not valid", f"{name}: {first['msg']}",
        {"errors": [{"field": ".".join(map(str, e["loc"][1:])), "message": e["msg"]} for e in error.errors()]},
        field=name,
    )  # fmt: skip
    return problem_response(request, problem)


def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    titles = {
        404: ("not_found", "No such resource"),
        405: ("method_not_allowed", "Method not allowed"),
        413: ("body_too_long", "The body is too long"),
    }
    code, title = titles.get(error.status_code, ("http_error", "The request was refused"))
    response = problem_response(request, Problem(error.status_code, code, title, str(error.detail)))
    response.headers.update(error.headers or {})
    return response


def _on_database(request: Request, error: Exception) -> JSONResponse:
    # The driver's text may hold host names or SQL: the log has its first line, the client does not.
    reason = str(error.orig if isinstance(error, DBAPIError) else error).strip().partition("\n")[0]
    _log.warning("request %s: %s: %s", request_id(request), type(error).__name__, reason)
    detail = "The database does not answer; scores are in it and nowhere else. Try again shortly."
    if isinstance(error, DBAPIError) and not isinstance(error, OperationalError):
        detail = "The database refused the query, as it does before its tables are built: run the pipeline once."
    return problem_response(
        request, Problem(503, "database_unavailable", "Scores cannot be read", detail, retry_after_s=5)
    )


def _on_bug(request: Request, error: Exception) -> JSONResponse:
    """Anything nobody thought of. The server logs the traceback under the same id after this answer."""
    _log.error("request %s: %s", request_id(request), type(error).__name__)
    detail = "The server met an error it has no name for; its log has it under this request id."
    response = problem_response(request, Problem(500, "internal_error", "Internal error", detail))
    response.headers["X-Request-Id"] = request_id(request)  # this answer is made outside the middleware
    return response


def as_problems(document: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document with every error under problem+json, where the framework puts the model under JSON."""
    for path in document["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                content = response.get("content", {})
                if status >= "400" and "application/json" in content:
                    content[PROBLEM_JSON] = content.pop("application/json") | content.get(PROBLEM_JSON, {})
    return document


def install(app: FastAPI) -> None:
    """Register the handlers: every error leaves as problem+json."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(SQLAlchemyError, _on_database)
    app.add_exception_handler(Exception, _on_bug)
