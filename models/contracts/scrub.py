"""Taking secrets out of texts before they are stored, sent or logged: known values, and passwords in addresses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

_MIN_LENGTH = 4  # shorter texts occur anywhere by chance
_MIN_CUT = 6  # of a secret that was cut off at the end of a text
_USER_INFO = re.compile(r"(?<=://)[^\s/@'\"]+@")
_HIDDEN = "***"


def scrubber_of(secrets: Iterable[str]) -> Callable[[str], str]:
    """A function that replaces each secret, also quoted for an address or as JSON, or cut off at the end of the text,
    and `user:password@` by `***`."""
    forms: set[str] = set()
    for value in secrets:
        if len(value) >= _MIN_LENGTH:
            forms |= {value, quote(value, safe=""), json.dumps(value)[1:-1]}
    longest_first = sorted(forms, key=len, reverse=True)

    def scrub(text: str) -> str:
        for form in longest_first:
            text = text.replace(form, _HIDDEN)
        for form in longest_first:
            kept = next((n for n in range(len(form) - 1, _MIN_CUT - 1, -1) if text.endswith(form[:n])), None)
            text = text if kept is None else text[:-kept] + _HIDDEN
        return _USER_INFO.sub(f"{_HIDDEN}@", text)

    return scrub


def scrub_all(value: Any, scrub: Callable[[str], str]) -> Any:
    """A JSON value with every text in it scrubbed."""
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, Mapping):
        return {scrub(str(key)): scrub_all(item, scrub) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [scrub_all(item, scrub) for item in value]
    return value
