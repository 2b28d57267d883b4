"""What can go wrong with a provider, and how a caller should react.

Every error says which provider, what happened and whether to retry, skip this series or stop asking the provider.
Messages are built from redacted text only; they never hold a key or a URL with one.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

MAX_WAIT_S = 60.0  # longest pause inside one fetch: a minute's quota refills within it, a day's does not
_MAX_DETAIL = 300


class Reaction(StrEnum):
    RETRY = "retry"  # the same request may succeed shortly
    SKIP = "skip"  # this series will not get an answer here; others may
    STOP = "stop"  # nothing will get an answer here for now


class ProviderError(Exception):
    """A provider gave no usable answer. `retry_after_s`: the pause that the provider asked for, if it did."""

    kind: ClassVar[str] = "provider"
    default_reaction: ClassVar[Reaction] = Reaction.SKIP

    def __init__(self, provider: str, detail: str, retry_after_s: float | None = None) -> None:
        super().__init__(f"{provider}: {detail}"[:_MAX_DETAIL])
        self.provider = provider
        self.retry_after_s = retry_after_s

    @property
    def reaction(self) -> Reaction:
        if self.default_reaction is Reaction.RETRY and (self.retry_after_s or 0.0) > MAX_WAIT_S:
            return Reaction.STOP
        return self.default_reaction


class Outage(ProviderError):
    """No answer, a broken one, or a server error."""

    kind = "outage"
    default_reaction = Reaction.RETRY


class Unreachable(Outage):
    """The request never left: no route, no name, a proxy that refuses. It cost nothing of any plan."""


class QuotaExceeded(ProviderError):
    """The plan's requests are used up or came too fast."""

    kind = "quota"

    @property
    def reaction(self) -> Reaction:
        short = self.retry_after_s is not None and self.retry_after_s <= MAX_WAIT_S
        return Reaction.RETRY if short else Reaction.STOP


class BudgetSpent(QuotaExceeded):
    """Our own count says that the plan is used up; nothing was sent."""

    kind = "budget"


class BannedAddress(ProviderError):
    """The provider refuses this address (rate ban, region or firewall). Going on would prolong a ban.

    `until`: the end of the ban, where the answer says it in words of its own instead of Retry-After.
    """

    kind = "banned"
    default_reaction = Reaction.STOP

    def __init__(
        self, provider: str, detail: str, retry_after_s: float | None = None, until: datetime | None = None
    ) -> None:
        super().__init__(provider, detail, retry_after_s)
        self.until = until


class BadKey(ProviderError):
    """The key is wrong, inactive or unreadable."""

    kind = "bad_key"
    default_reaction = Reaction.STOP


class NoKey(ProviderError):
    """The provider needs a key and none is configured."""

    kind = "no_key"
    default_reaction = Reaction.STOP


class CircuitOpen(ProviderError):
    """The provider failed repeatedly and is left alone for a while; nothing was sent."""

    kind = "circuit_open"
    default_reaction = Reaction.STOP


class PlanRestriction(ProviderError):
    """The plan behind the key does not include what was asked."""

    kind = "plan"


class UnknownSymbol(ProviderError):
    """The provider does not know the currency or coin."""

    kind = "unknown_symbol"


class SchemaDrift(ProviderError):
    """The answer is not what the provider's documentation promises: nothing of it is used."""

    kind = "schema"


class NoHistory(ProviderError):
    """The provider cannot answer for (part of) the past window."""

    kind = "no_history"


class Stale(ProviderError):
    """The provider's newest data is older than what is wanted."""

    kind = "stale"


class EmptyMarket(ProviderError):
    """The market exists in name only: no adverts. There is no price, and none is made up."""

    kind = "delisted"


class Unsupported(ProviderError):
    """The provider does not offer this kind of data; the universe should not name it here."""

    kind = "unsupported"
