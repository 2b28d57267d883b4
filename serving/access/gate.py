"""The gate: finds out who asks, counts, and lets those pass who may. On the event loop; only look-ups leave it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import Scope as Conversation

from models.access.keys import Scope, id_of, is_it
from serving.access.buckets import UNBOUNDED, WINDOW_S, Allowance, Buckets
from serving.access.callers import (
    PASSAGE,
    PUBLIC,
    Caller,
    Forbidden,
    Passage,
    Unauthenticated,
    neighbourhood,
    presented,
)
from serving.access.ledger import Ledger
from serving.access.recent import Recent
from serving.access.settings import AccessSettings
from serving.access.signing_keys import KeysUnavailable
from serving.access.tokens import Tokens
from serving.errors import Problem

_log = logging.getLogger(__name__)
CHECKED_FOR_S = 5.0  # within this time a revocation is known everywhere
_MOST_CALLERS = 2_000
_AUDITED = (Scope.SIMULATE, Scope.OPERATE)
_Found = TypeVar("_Found")


def _wall_time() -> datetime:
    return datetime.now(UTC)


class Gate:
    """`clock`: seconds that do not go back; `now`: wall time, for ends of keys and the audit log."""

    def __init__(
        self,
        settings: AccessSettings,
        ledger: Ledger,
        tokens: Tokens | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = _wall_time,
    ) -> None:
        self.settings, self._ledger, self._tokens, self._clock, self._now = settings, ledger, tokens, clock, now
        self._public = Caller(PUBLIC, settings.public)
        self._known: Recent[Caller] = Recent(CHECKED_FOR_S, _MOST_CALLERS)
        self._asked: dict[bytes, asyncio.Future[Caller]] = {}  # look-ups under way: equal ones wait for the first
        self._addresses, self._callers = Buckets(), Buckets()

    async def admit(self, request: Request, needed: Scope) -> None:
        """Let a request pass that may have what it asks for. Raises Problem: 401, 403, 429, 503."""
        passage: Passage = request.scope[PASSAGE]
        address = neighbourhood(request.client.host) if request.client else ""
        credential = presented(request.scope["headers"])
        passage.with_credential = credential is not None
        if credential is None:
            caller = self._public
            self._count(passage, self._addresses, address, self.settings.public_per_minute)
        else:
            caller = await self._identify(passage, credential, address)
            most = self.settings.key_per_minute if caller.per_minute is None else caller.per_minute
            self._count(passage, self._callers, caller.name, most)
        passage.caller = caller
        if needed not in caller.scopes and needed not in self.settings.public:
            if credential is None:
                raise Unauthenticated(False)
            if needed in _AUDITED:
                await self._write("refused", request.scope, caller, needed, 403)
            raise Forbidden(needed)
        if needed in _AUDITED:
            await self._write("asked", request.scope, caller, needed, None)
            passage.audited = needed

    async def answered(self, scope: Conversation, status: int) -> None:
        """Say in the audit log how a call ended. That it was asked stands there already, so that what cannot be said is
        logged and the answer leaves."""
        passage: Passage = scope[PASSAGE]
        needed, passage.audited = passage.audited, None
        if needed is None or passage.caller is None:
            return
        try:
            await self._write("answered", scope, passage.caller, needed, status)
        except SQLAlchemyError as error:
            _log.error("request %s: its end is not in the audit log: %s", scope["request_id"], type(error).__name__)

    async def _identify(self, passage: Passage, credential: str, address: str) -> Caller:
        name = blake2b(credential.encode(), digest_size=32).digest()  # the cache holds no secret
        caller = self._known.get(name, self._clock())
        if caller is None:
            if name not in self._known:
                # Whoever guesses is counted like anybody without a key, before it costs the database anything.
                self._count(passage, self._addresses, address, self.settings.public_per_minute)
            try:
                caller = await self._once(name, partial(self._look_up, credential))
            except Unauthenticated:
                self._known.drop(name)
                raise
            self._known.put(name, caller, self._clock())
        if caller.ends_at is not None and self._now() >= caller.ends_at:
            raise Unauthenticated(True)
        return caller

    async def _once(self, name: bytes, look_up: Callable[[], Awaitable[Caller]]) -> Caller:
        if (under_way := self._asked.get(name)) is not None:
            return await asyncio.shield(under_way)
        self._asked[name] = asyncio.ensure_future(look_up())
        try:
            return await asyncio.shield(self._asked[name])
        finally:
            del self._asked[name]

    async def _look_up(self, credential: str) -> Caller:
        key_id = id_of(credential)
        if key_id is None:
            if self._tokens is None or credential.startswith("ballast_"):
                raise Unauthenticated(True)
            try:
                return await run_in_threadpool(self._tokens.caller, credential)
            except KeysUnavailable as error:
                raise Problem(
                    503, "identity_unavailable", "Tokens cannot be checked", f"{error}; try again shortly.",
                    retry_after_s=30,
                ) from error  # fmt: skip
        return await run_in_threadpool(self._of_key, key_id, credential)

    def _of_key(self, key_id: str, credential: str) -> Caller:
        record, now = self._ledger.find(key_id), self._now()
        if record is None or not is_it(credential, record.digest) or now >= record.ends_at:
            raise Unauthenticated(True)
        self._ledger.used(key_id, now)
        return Caller(f"key:{record.id}", record.scopes, record.per_minute, record.ends_at)

    def _count(self, passage: Passage, buckets: Buckets, name: str, per_minute: int) -> None:
        if per_minute == UNBOUNDED:
            return
        allowance = buckets.take(name, per_minute, self._clock())
        assert allowance is not None  # there is a bound
        passage.headers = _told(allowance)
        if not allowance.granted:
            raise Problem(
                429, "too_many_requests", "Too many requests",
                f"{per_minute} requests a minute are allowed, and so many were made; there is room again in "
                f"{allowance.reset_s} seconds.",
                {"limit": "requests_a_minute", "most": per_minute}, retry_after_s=allowance.reset_s,
            )  # fmt: skip

    async def _write(self, event: str, scope: Conversation, caller: Caller, needed: Scope, status: int | None) -> None:
        row = (event, scope["request_id"], caller.name, needed, scope["method"], scope["path"], status, self._now())
        await run_in_threadpool(self._ledger.write, *row)


def _told(allowance: Allowance) -> list[tuple[bytes, bytes]]:
    """Fields of draft-ietf-httpapi-ratelimit-headers: the rule, and what is left of it."""
    return [
        (b"ratelimit-policy", b'"minute";q=%d;w=%d' % (allowance.per_minute, WINDOW_S)),
        (b"ratelimit", b'"minute";r=%d;t=%d' % (allowance.remaining, allowance.reset_s)),
    ]
