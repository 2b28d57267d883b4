"""Fields of a request: what each accepts, said once for the API, its document and the command line.

Strict: nothing is converted, nothing unknown is passed over. An error names the field and says what would do.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from models.runs.plan import RequestError

_SHOWN = 60  # characters of what was received that a message repeats
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class Field(Protocol):
    """`read` gives the value or raises RequestError; `schema` says the same as JSON Schema. `default` None and
    `required` False: may be left out or null."""

    @property
    def about(self) -> str: ...

    @property
    def default(self) -> Any: ...

    @property
    def required(self) -> bool: ...

    def read(self, path: str, value: object) -> Any: ...

    def schema(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Text:
    about: str
    pattern: str
    example: str
    default: str | None = None
    required: bool = False

    def read(self, path: str, value: object) -> str:
        if not isinstance(value, str) or not re.fullmatch(self.pattern, value, re.ASCII):
            raise RequestError(path, f"must be text like {self.example}, not {shown(value)}")
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^{self.pattern}$", "examples": [self.example]}


@dataclass(frozen=True, slots=True)
class Number:
    """Between `low` and `high`, both allowed; `whole`: no fraction. Read as int or float accordingly."""

    about: str
    low: float
    high: float
    default: float | None = None
    whole: bool = False
    required: bool = False

    def read(self, path: str, value: object) -> float:
        is_number = isinstance(value, int) if self.whole else isinstance(value, int | float)
        if isinstance(value, bool) or not is_number or not self.low <= value <= self.high:  # type: ignore[operator]
            word = "a whole number" if self.whole else "a number"
            raise RequestError(path, f"must be {word} from {self.low:g} to {self.high:g}, not {shown(value)}")
        assert isinstance(value, int | float)
        return value if self.whole else float(value)

    def schema(self) -> dict[str, Any]:
        return {"type": "integer" if self.whole else "number", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True, slots=True)
class Choice:
    about: str
    of: Sequence[str]
    default: str | None = None
    required: bool = False

    def read(self, path: str, value: object) -> str:
        if not isinstance(value, str) or value not in self.of:
            raise RequestError(path, f"must be one of {', '.join(self.of)}, not {shown(value)}")
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.of)}


@dataclass(frozen=True, slots=True)
class Several:
    """A list of distinct choices, kept in the order in which they are offered."""

    about: str
    of: Sequence[str]
    default: tuple[str, ...] | None = None
    required: bool = False

    def read(self, path: str, value: object) -> tuple[str, ...]:
        if not isinstance(value, list | tuple):
            raise RequestError(path, f"must be a list of {', '.join(self.of)}, not {shown(value)}")
        for position, item in enumerate(value):
            if not isinstance(item, str) or item not in self.of:
                raise RequestError(f"{path}.{position}", f"must be one of {', '.join(self.of)}, not {shown(item)}")
        if len(set(value)) < len(value):
            raise RequestError(path, "names one twice; leave the second out")
        return tuple(name for name in self.of if name in value)

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": {"type": "string", "enum": list(self.of)}, "uniqueItems": True}


@dataclass(frozen=True, slots=True)
class Day:
    about: str
    default: date | None = None
    required: bool = False

    def read(self, path: str, value: object) -> date:
        try:
            if not isinstance(value, str) or not _DAY.fullmatch(value):
                raise ValueError
            found = date.fromisoformat(value)
        except ValueError:
            raise RequestError(path, f"must be a day like 2024-01-31, not {shown(value)}") from None
        if not date(1970, 1, 1) <= found <= date(2199, 12, 31):
            raise RequestError(path, f"must lie from 1970 to 2199, not {shown(value)}")
        return found

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "date"}


@dataclass(frozen=True, slots=True)
class Part:
    """An object with fields of its own; those that are left out are not in what is read."""

    about: str
    fields: Mapping[str, Field]
    default: Mapping[str, Any] | None = None
    required: bool = False

    def read(self, path: str, value: object) -> dict[str, Any]:
        known = _object(path, value, self.fields)
        return {name: self.fields[name].read(f"{path}.{name}", item) for name, item in known.items()}

    def schema(self) -> dict[str, Any]:
        return schema_of(self.fields)


def read_all(fields: Mapping[str, Field], body: object) -> dict[str, Any]:
    """Every field of a request, defaults filled in.

    Raises
    ------
    RequestError
        At the first field that is unknown, missing or not valid.
    """
    known = _object("body", body, fields)
    out: dict[str, Any] = {}
    for name, field in fields.items():
        if known.get(name) is not None:
            out[name] = field.read(name, known[name])
        elif field.required:
            raise RequestError(name, f"is missing: {field.about}")
        else:
            out[name] = field.default
    return out


def schema_of(fields: Mapping[str, Field]) -> dict[str, Any]:
    """JSON Schema of the object that `read_all` reads."""
    properties = {}
    for name, field in fields.items():
        own = {**field.schema(), "description": field.about}
        if field.default is not None:
            default = field.default
            own["default"] = list(default) if isinstance(default, tuple) else default
        elif not field.required:
            own["type"] = [*([own["type"]] if isinstance(own["type"], str) else own["type"]), "null"]
        properties[name] = own
    required = [name for name, field in fields.items() if field.required]
    return {
        "type": "object", "properties": properties, "additionalProperties": False,
        **({"required": required} if required else {}),
    }  # fmt: skip


def shown(value: object) -> str:
    """What was received, as plain short ASCII: it may be anything."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**18:
        return "a number of that size"
    if isinstance(value, list | tuple | Mapping):
        return "an object" if isinstance(value, Mapping) else "a list"
    text = {"None": "null", "True": "true", "False": "false"}.get(str(value)) if not isinstance(value, str) else None
    text = text or ascii(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _object(path: str, value: object, fields: Mapping[str, Field]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise RequestError(path, f"must be an object with fields, not {shown(value)}")
    unknown = [name for name in value if name not in fields]
    if unknown:
        where = shown(unknown[0])[1:-1] if path == "body" else f"{path}.{shown(unknown[0])[1:-1]}"
        raise RequestError(where, f"no such field; there are {', '.join(fields)}")
    return value
