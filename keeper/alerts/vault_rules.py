"""Rules about one vault: its ticks, its score, what its guards say. Pure functions from facts to alerts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import takewhile

from keeper.alerts import transaction_rules
from keeper.alerts.alert import Alert, AlertName, Severity, span
from keeper.alerts.facts import AlertLimits, Now, TargetFact, VaultFacts
from models.contracts.vault import Reason, Verdict

Rule = Callable[[VaultFacts, Now, AlertLimits], Iterator[Alert]]

_NO_CHAIN: frozenset[str] = frozenset({Reason.CHAIN_UNAVAILABLE, Reason.CHAIN_UNHEALTHY})


def missed_tick(vault: VaultFacts, now: Now, limits: AlertLimits) -> Iterator[Alert]:
    """No decision stored for two hours. Before the first decision the first target sets the clock going."""
    if vault.decisions:
        market, wall = vault.decisions[0].market_time, vault.decisions[0].created_at
    elif vault.first_target is not None:
        market, wall = vault.first_target.as_of, vault.first_target.recorded_at
    else:
        return
    if now.overdue(market, wall, limits.missed_tick, limits.wall_floor):
        yield Alert(
            AlertName.MISSED_TICK, Severity.CRITICAL, vault.id,
            f"no decision about vault {vault.id} for {span(now.market - market)} of market time",
            now.wall, {"last_market_time": market.isoformat(), "last_wall_time": wall.isoformat()},
        )  # fmt: skip


def stale_score(vault: VaultFacts, now: Now, limits: AlertLimits) -> Iterator[Alert]:
    """The newest usable target has expired, so the vault stays where it is whatever the market does. Or targets are
    stored and none of them was ever usable."""
    target, first = vault.target, vault.first_target
    if target is None:
        if first is not None:
            yield from _never_usable(vault.id, first, now, limits)
        return
    if not now.overdue(target.valid_until, target.recorded_at, timedelta(0), limits.wall_floor):
        return
    yield Alert(
        AlertName.STALE_SCORE, Severity.WARNING, vault.id,
        f"the newest usable score of vault {vault.id} expired {span(now.market - target.valid_until)} ago",
        now.wall, {"score_as_of": target.as_of.isoformat(), "valid_until": target.valid_until.isoformat()},
    )  # fmt: skip


def _never_usable(vault: str, first: TargetFact, now: Now, limits: AlertLimits) -> Iterator[Alert]:
    if now.overdue(first.as_of, first.recorded_at, limits.missed_tick, limits.wall_floor):
        yield Alert(
            AlertName.STALE_SCORE, Severity.WARNING, vault,
            f"vault {vault} has never had a usable score", now.wall, {"first_score_as_of": first.as_of.isoformat()},
        )  # fmt: skip


def chain_unavailable(vault: VaultFacts, now: Now, limits: AlertLimits) -> Iterator[Alert]:
    """Ticks in a row that met no chain, or one that calls itself unhealthy."""
    lost = list(takewhile(lambda d: _NO_CHAIN & set(d.reasons), vault.decisions))
    if len(lost) >= limits.unreachable_ticks:
        severity = Severity.CRITICAL if len(lost) >= limits.unreachable_critical else Severity.WARNING
        yield Alert(
            AlertName.CHAIN_UNAVAILABLE, severity, vault.id,
            f"the last {len(lost)} ticks of vault {vault.id} met no chain",
            now.wall, {"ticks": len(lost), "since": lost[-1].created_at.isoformat()}, lost[0].id,
        )  # fmt: skip


def low_balance(vault: VaultFacts, now: Now, limits: AlertLimits) -> Iterator[Alert]:
    """The keeper's account can pay few transactions more; critical when it can pay none above its reserve."""
    seen = next((d for d in vault.decisions if d.balance_stroops is not None), None)
    if seen is None or seen.balance_stroops is None:
        return
    spare = seen.balance_stroops - vault.reserve_stroops
    if spare < vault.max_fee_stroops * limits.spare_fees:
        can_pay = max(spare, 0) // vault.max_fee_stroops
        yield Alert(
            AlertName.LOW_BALANCE, Severity.CRITICAL if can_pay < 1 else Severity.WARNING, vault.id,
            f"the account of vault {vault.id} can pay {can_pay} more transactions at the fee cap",
            now.wall,
            {"balance_stroops": seen.balance_stroops, "reserve_stroops": vault.reserve_stroops,
             "max_fee_stroops": vault.max_fee_stroops},
        )  # fmt: skip


# Reasons of a refusal that say that something about the vault, the network or the score is not as it must be.
DANGERS: dict[str, AlertName] = {
    Reason.ROLE_MOVED: AlertName.ROLE_MOVED,
    Reason.CODE_CHANGED: AlertName.CODE_CHANGED,
    Reason.WRONG_NETWORK: AlertName.WRONG_NETWORK,
    "prices_disagree": AlertName.PRICES_DISAGREE,
    Reason.SCORE_OUT_OF_RANGE: AlertName.SCORE_OUT_OF_RANGE,
}
_SAID = {
    AlertName.ROLE_MOVED: "the keeper no longer has its role on vault {vault}",
    AlertName.CODE_CHANGED: "the code of vault {vault} is not the one that was pinned",
    AlertName.WRONG_NETWORK: "the node of vault {vault} speaks for another network",
    AlertName.PRICES_DISAGREE: "two sources of prices of vault {vault} disagree",
    AlertName.SCORE_OUT_OF_RANGE: "the score of vault {vault} is outside 0 to 100",
}
# Refusals that have alerts of their own.
_TOLD_ELSEWHERE = frozenset(
    {*DANGERS, Reason.KILL_SWITCH_HALT, Reason.KILL_SWITCH_REDUCE_ONLY, Reason.BALANCE_BELOW_RESERVE}
)


def guards_have_spoken(vault: VaultFacts) -> bool:
    """Whether a decision is known in which the guards on the chain had their say; without one nothing is over."""
    return any(d.saw_chain or DANGERS.keys() & set(d.reasons) for d in vault.decisions)


def danger(vault: VaultFacts, now: Now, limits: AlertLimits) -> Iterator[Alert]:
    """What the guards found in the newest decision in which they had their say. A tick that was held before (switch,
    lost chain) takes nothing back."""
    for decision in vault.decisions:
        found = [reason for reason in decision.reasons if reason in DANGERS]
        for reason in found:
            name = DANGERS[reason]
            yield Alert(
                name, Severity.CRITICAL, vault.id, f"{_SAID[name].format(vault=vault.id)}; it refuses to act",
                now.wall, {"decision": decision.id, "market_time": decision.market_time.isoformat()}, decision.id,
            )  # fmt: skip
        if found or decision.saw_chain:
            return


def guard_refused(vault: VaultFacts, now: Now, limits: AlertLimits) -> Iterator[Alert]:
    """The newest decision refused for a reason without an alert of its own, also one that is not known here."""
    if not vault.decisions or vault.decisions[0].verdict != Verdict.REFUSE:
        return
    newest = vault.decisions[0]
    reasons = [reason for reason in newest.reasons if reason not in _TOLD_ELSEWHERE]
    if reasons:
        yield Alert(
            AlertName.GUARD_REFUSED, Severity.WARNING, vault.id,
            f"vault {vault.id} refuses to act: {', '.join(reasons)}",
            now.wall, {"decision": newest.id, "reasons": reasons}, newest.id,
        )  # fmt: skip


# Every rule about a vault with the names it may raise.
VAULT_RULES: dict[Rule, frozenset[AlertName]] = {
    missed_tick: frozenset({AlertName.MISSED_TICK}),
    stale_score: frozenset({AlertName.STALE_SCORE}),
    chain_unavailable: frozenset({AlertName.CHAIN_UNAVAILABLE}),
    transaction_rules.unresolved_attempt: frozenset({AlertName.UNRESOLVED_ATTEMPT}),
    transaction_rules.needs_human: frozenset({AlertName.NEEDS_HUMAN}),
    transaction_rules.awaiting_approval: frozenset({AlertName.AWAITING_APPROVAL}),
    transaction_rules.transaction_failed: frozenset({AlertName.TRANSACTION_FAILED}),
    transaction_rules.move_refused: frozenset({AlertName.MOVE_REFUSED}),
    transaction_rules.fee_surge: frozenset({AlertName.FEE_SURGE}),
    low_balance: frozenset({AlertName.LOW_BALANCE}),
    transaction_rules.key_used_elsewhere: frozenset({AlertName.KEY_USED_ELSEWHERE}),
    danger: frozenset(DANGERS.values()),
    guard_refused: frozenset({AlertName.GUARD_REFUSED}),
}
