"""What alerts are judged by: rows of the tables as values, and the bounds with their reasons. Pure.

Two clocks: decisions, scores and jobs are due in market time; transactions and switches live in wall time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Now:
    """The moment of a look on both clocks, aware UTC."""

    wall: datetime
    market: datetime

    def overdue(self, market: datetime, wall: datetime, allowed: timedelta, floor: timedelta) -> bool:
        """Whether more than `allowed` market time passed since `market`, and at least `floor` of the wall since
        `wall`: a market clock at 3600 times speed passes two hours while a run starts."""
        return self.market - market > allowed and self.wall - wall > floor


@dataclass(frozen=True, slots=True)
class AlertLimits:
    missed_tick: timedelta = timedelta(hours=2)  # a tick an hour: one may be slow, two are missed
    wall_floor: timedelta = timedelta(minutes=15)  # the slowest hourly refresh on record took half a minute
    bounds_grace: timedelta = timedelta(minutes=5)  # the reconcile job looks each minute, proof takes two looks
    bounds_critical: timedelta = timedelta(hours=1)  # nobody decides it any more
    preparing: timedelta = timedelta(minutes=15)  # an intent without an envelope is built within seconds
    failures_seen: timedelta = timedelta(hours=24)  # a failure without a following one is history after a day
    refused_critical: int = 3  # moves in a row: no chance any more
    fee_surge_seen: timedelta = timedelta(hours=2)  # the next decision tries again within an hour
    spare_fees: int = 10  # transactions at the fee cap that the balance must still pay: days of the usual pace
    unreachable_ticks: int = 2  # one lost look is the network's weather
    unreachable_critical: int = 6
    pause_forgotten: timedelta = timedelta(hours=24)
    channel_failing: timedelta = timedelta(minutes=10)  # ten passes


@dataclass(frozen=True, slots=True)
class DecisionFact:
    """`saw_chain`: the tick read the chain, so the guards on it have spoken. `created_at`: wall."""

    id: str
    verdict: str
    reasons: tuple[str, ...]
    market_time: datetime
    created_at: datetime
    saw_chain: bool = False
    balance_stroops: int | None = None


@dataclass(frozen=True, slots=True)
class TargetFact:
    """The newest usable target. `valid_until`: market time; `recorded_at`: wall."""

    as_of: datetime
    valid_until: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class IntentFact:
    """An intent and its newest attempt. `max_time_s`: until when the attempt may be on a ledger, Unix seconds.

    `awaits_approval`: nobody may sign it before a person says so; then `not_after` is until when that has an effect,
    market time.
    """

    id: str
    state: str
    action: str
    reason: str | None
    created_at: datetime
    updated_at: datetime
    max_time_s: int | None = None
    tx_hash: str | None = None
    result_code: str | None = None
    awaits_approval: bool = False
    not_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class KeyFact:
    """Sequence numbers of an account as two decisions saw them, and how many in between are ours.

    `ours`: distinct sequence numbers in (`first`, `last`] with an envelope that we signed.
    """

    account: str
    first: int
    last: int
    ours: int


@dataclass(frozen=True, slots=True)
class VaultFacts:
    """One kept vault; decisions and intents newest first. `first_target_at`: wall time of its first target."""

    id: str
    reserve_stroops: int
    max_fee_stroops: int
    decisions: tuple[DecisionFact, ...] = ()
    intents: tuple[IntentFact, ...] = ()
    target: TargetFact | None = None
    first_target: TargetFact | None = None
    key: KeyFact | None = None


@dataclass(frozen=True, slots=True)
class SwitchFact:
    """Newest position of one scope of the kill switch."""

    scope: str
    mode: str
    reason: str
    set_by: str
    at: datetime
    seq: int


@dataclass(frozen=True, slots=True)
class LogFact:
    """`fault`: what does not fit in the event log, None if all of it does."""

    fault: str | None


@dataclass(frozen=True, slots=True)
class JobFact:
    """Last success of a job that the market's clock asks for."""

    job: str
    succeeded_market: datetime
    succeeded_wall: datetime
    allowed: timedelta


@dataclass(frozen=True, slots=True)
class DatasetFact:
    """Scored series of one data set: how many there are and which are stale, with the reason of each."""

    dataset: str
    series: int
    stale: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ChannelFact:
    """A channel that refuses messages. `failing_since`: first failure since the last success, wall."""

    name: str
    failing_since: datetime
    error: str
    failures: int


@dataclass(frozen=True, slots=True)
class Unread:
    """A group of facts that could not be read; `error`: one line."""

    group: str
    error: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything of one look. A group is None where it could not be read (then `unread` says why)."""

    vaults: tuple[VaultFacts, ...] | None
    switches: tuple[SwitchFact, ...] | None
    log: LogFact | None
    jobs: tuple[JobFact, ...] | None
    datasets: tuple[DatasetFact, ...] | None
    channels: tuple[ChannelFact, ...] | None
    unread: tuple[Unread, ...] = ()
