"""Taking secrets out of texts before they are stored or sent: known values, and passwords in addresses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from urllib.parse import quote

from orchestration.settings import Secret

_MIN_LENGTH = 4  # shorter texts occur anywhere by chance
_MIN_CUT = 6  # of a secret that was cut off at the end of a text
_USER_INFO = re.compile(r"(?<=://)[^\s/@'\"]+@")
_HIDDEN = "***"


def scrubber(secrets: Iterable[Secret]) -> Callable[[str], str]:
    """A function that replaces each secret, also quoted for an address or as JSON, or cut off at the end of the text,
    and `user:password@` by `***`."""
    forms: set[str] = set()
    for secret in secrets:
        value = secret.reveal()
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
