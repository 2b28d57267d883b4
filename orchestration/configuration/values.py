"""What settings are made of: numbers within bounds, secrets that never print themselves, errors that name a variable.

Parsing of values that were handed in; who reads the environment is `orchestration.settings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


class SettingsError(ValueError):
    """A setting is missing or wrong; the message names the variable and the way out."""


class Secret:
    """A value that never prints itself."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__


def number(env: Mapping[str, str], name: str, default: float, low: float, high: float) -> float:
    """Value of `name` within `low` to `high`. Raises SettingsError."""
    text = env.get(name, "")
    try:
        value = float(text) if text else default
    except ValueError:
        raise SettingsError(f"{name}: {text!r} is not a number") from None
    if not low <= value <= high:
        raise SettingsError(f"{name}: {value:g} is outside {low:g} to {high:g}")
    return value


def secrets_in(env: Mapping[str, str], names: tuple[str, ...]) -> dict[str, Secret]:
    """Secrets that are set: NAME holds the value itself, NAME_FILE the path of a file that holds it."""
    found: dict[str, Secret] = {}
    for name in names:
        value, file = env.get(name), env.get(f"{name}_FILE")
        if value:
            found[name] = Secret(value.strip())
        elif file:
            path = Path(file)
            if not path.is_file():
                raise SettingsError(f"{name}_FILE: {path} does not exist")
            found[name] = Secret(path.read_text(encoding="utf-8").strip())
    return found
