"""One schema for the log lines of all processes, as JSON or as text, and the settings that choose. Pure: who writes
them is `serving.logs` and `orchestration.logs`.

    ts level logger message service [request_id] [run_id] [job] [step] [fields of the event] [error]
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from models.contracts.scrub import scrub_all

FORMAT_VARIABLE, LEVEL_VARIABLE, ACCESS_VARIABLE = "BALLAST_LOG_FORMAT", "BALLAST_LOG_LEVEL", "BALLAST_LOG_ACCESS"
LOG_VARIABLES = (FORMAT_VARIABLE, LEVEL_VARIABLE, ACCESS_VARIABLE)
LOGGERS = "ballast"  # the parent of all loggers of ours
ACCESS_LOGGER = f"{LOGGERS}.access"
LEVELS = ("debug", "info", "warning", "error")
# What a line of this request or job carries, whoever writes it: set once where the request or job begins.
CONTEXT: ContextVar[Mapping[str, str]] = ContextVar("ballast_log_context", default=MappingProxyType({}))
_DAGSTER = (("run_id", "run_id"), ("job", "job_name"), ("step", "step_key"))


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


class AccessLog(StrEnum):
    """Which requests are told: all; those that were refused, failed or took a second; none."""

    ALL = "all"
    ODD = "odd"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class LogChoice:
    """`level`: the least that is written, one of LEVELS."""

    format: LogFormat = LogFormat.TEXT
    level: str = "info"
    access: AccessLog = AccessLog.ODD


def log_choice(env: Mapping[str, str]) -> LogChoice:
    """The choice of LOG_VARIABLES. Raises ValueError naming the variable that is wrong."""

    def one_of(name: str, most: tuple[str, ...], default: str) -> str:
        said = (env.get(name) or default).lower()
        if said not in most:
            raise ValueError(f"{name}: {said!r} is not {', '.join(most)}")
        return said

    return LogChoice(
        LogFormat(one_of(FORMAT_VARIABLE, tuple(LogFormat), LogFormat.TEXT)),
        one_of(LEVEL_VARIABLE, LEVELS, "info"),
        AccessLog(one_of(ACCESS_VARIABLE, tuple(AccessLog), AccessLog.ODD)),
    )


class LineFormatter(logging.Formatter):
    """A record as one line. Fields of an event come as `extra={"fields": {...}}`; every text is scrubbed."""

    def __init__(self, service: str, form: LogFormat, scrub: Callable[[str], str]) -> None:
        super().__init__()
        self._service, self._form, self._scrub = service, form, scrub

    def format(self, record: logging.LogRecord) -> str:
        found = scrub_all(self._fields(record), self._scrub)
        return as_json(found) if self._form is LogFormat.JSON else as_text(found)

    def _fields(self, record: logging.LogRecord) -> dict[str, Any]:
        told: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "service": self._service,
        }
        own = getattr(record, "fields", None) or {}
        for name, value in ({**CONTEXT.get(), **_of_dagster(record), **own}).items():
            told.setdefault(name, value)  # a field of an event never hides one of the schema
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            trace = self.formatException(record.exc_info)
            told["error"] = {"type": type(error).__name__, "message": str(error), "trace": trace}
        return told


def _of_dagster(record: logging.LogRecord) -> dict[str, str]:
    """Run, job and step of a line that Dagster wrote or passed on; it hangs them onto the record as `dagster_meta`."""
    meta = getattr(record, "dagster_meta", None) or {}
    return {name: meta[key] for name, key in _DAGSTER if meta.get(key)}


def as_json(fields: Mapping[str, Any]) -> str:
    """One line of JSON in ASCII; what JSON does not know is written as text, as are numbers that it cannot hold."""
    try:
        return json.dumps(fields, default=str, allow_nan=False)
    except ValueError:
        return json.dumps({name: _finite(value) for name, value in fields.items()}, default=str)


def _finite(value: Any) -> Any:
    return value if not isinstance(value, float) or abs(value) < float("inf") else str(value)


def as_text(fields: Mapping[str, Any]) -> str:
    """For people: time, level, logger, message, then the rest as `name=value`; a traceback follows in lines of its own.
    Line breaks of what others said are escaped: they must not look like lines of ours."""
    rest = {n: v for n, v in fields.items() if n not in ("ts", "level", "logger", "message", "service", "error")}
    head = f"{fields['ts']} {fields['level'].upper():7} {fields['logger']} {fields['message']}"
    line = _one_line(" ".join([head, *(f"{name}={value}" for name, value in rest.items())]))
    return f"{line}\n{fields['error']['trace']}" if "error" in fields else line


def _one_line(text: str) -> str:
    return (
        text.replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n") if "\n" in text or "\r" in text else text
    )
