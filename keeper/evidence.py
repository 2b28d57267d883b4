"""What looks at a chain prove about an attempt. Pure: two looks and an account in, a finding out.

The rules: only our own hash on the ledger proves success or failure. "It will never land" needs a ledger that closed
at or after the bounds, a second look started after that, a node whose memory reaches back to the simulation, and a
sequence number that is still free. Close times increase strictly, so then nothing later can include it. A sequence
that is used up while our hash is not found proves nothing yet. The local clock is never asked.
"""

from __future__ import annotations

from enum import StrEnum

from keeper.gateway import AccountView, ChainClock, TransactionView, TxStatus
from keeper.intent import Attempt


class Finding(StrEnum):
    SUCCESS = "success"
    FAILED = "failed"
    ALIVE = "alive"  # not found, and it may still land
    EXPIRED = "expired"  # proved that it never lands
    SEQUENCE_USED = "sequence_used"  # something with its sequence number is on the ledger
    OUT_OF_MEMORY = "out_of_memory"  # the node no longer remembers the ledgers in question
    CONTRADICTION = "contradiction"  # status and result disagree


def outlived(attempt: Attempt, clock: ChainClock) -> bool:
    """Whether at `clock` no later ledger can include the attempt (too late when maxTime < close time of the ledger
    being built, which is above `close_time_s`; or when maxLedger <= its number)."""
    return clock.close_time_s >= attempt.max_time or clock.ledger >= attempt.max_ledger - 1


def on_ledger(look: TransactionView) -> Finding | None:
    """What a single look settles, None if it settles nothing."""
    if look.status is TxStatus.SUCCESS:
        return Finding.SUCCESS
    if look.status is TxStatus.FAILED:
        return Finding.FAILED
    return Finding.CONTRADICTION if look.status is TxStatus.CONTRADICTORY else None


def conclude(attempt: Attempt, first: TransactionView, second: TransactionView, account: AccountView) -> Finding:
    """Finding from two looks, the second started after the first answered, and the account read after both.

    A reply of a node that lags behind the first look proves nothing: the attempt then counts as alive.
    """
    for look in (first, second):
        settled = on_ledger(look)
        if settled is not None:
            return settled
    if account.sequence >= attempt.sequence:
        return Finding.SEQUENCE_USED
    if not (outlived(attempt, first.clock) and outlived(attempt, second.clock)):
        return Finding.ALIVE
    if second.clock.ledger < first.clock.ledger or account.ledger < first.clock.ledger:
        return Finding.ALIVE
    if max(first.clock.oldest_ledger, second.clock.oldest_ledger) > attempt.sim_ledger:
        return Finding.OUT_OF_MEMORY
    return Finding.EXPIRED
