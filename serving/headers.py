"""Headers that tell browsers what they may do with an answer. Around everything, so that a 500 has them, too."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_NOTHING = "default-src 'none'; frame-ancestors 'none'"  # an answer is data: it is no page, in no frame
_UNUSED = ("accelerometer", "camera", "display-capture", "geolocation", "gyroscope", "microphone", "payment", "usb")
_HEADERS = {
    "Content-Security-Policy": _NOTHING,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": ", ".join(f"{name}=()" for name in _UNUSED),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_TWO_YEARS_S = 63_072_000
_INLINE = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)


class SecurityHeadersMiddleware:
    """Adds what an answer does not say itself; a page has a policy of its own. `tls`: everybody comes by HTTPS."""

    def __init__(self, app: ASGIApp, tls: bool) -> None:
        self.app = app
        told = _HEADERS | ({"Strict-Transport-Security": f"max-age={_TWO_YEARS_S}"} if tls else {})
        self._headers = [(name.lower().encode(), value.encode()) for name, value in told.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = message["headers"]
                said = {name for name, _ in own}
                message["headers"] = [*own, *(header for header in self._headers if header[0] not in said)]
            await send(message)

        await self.app(scope, receive, send_guarded)


def page_policy(html: str) -> str:
    """Content security policy of a page: what this server sends, and the scripts and styles that stand in the page,
    each by its hash. Nothing that somebody else writes into it would run."""
    inline = _INLINE.findall(html)
    scripts = _sources(body for kind, body in inline if kind == "script")
    styles = _sources(body for kind, body in inline if kind == "style")
    return (
        f"default-src 'none'; script-src {scripts}; style-src {styles}; img-src 'self' data:; connect-src 'self'; "
        "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _sources(bodies: Iterable[str]) -> str:
    hashes = (base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() for body in bodies)
    return " ".join(["'self'", *(f"'sha256-{found}'" for found in hashes)])
