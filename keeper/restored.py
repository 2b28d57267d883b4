"""After a restore the keeper remembers less than the chain: it stands still until both were compared.

Nothing can be applied twice even so: the chain uses a sequence number once, and the next number is always built from
what the chain says now. But a move that was forgotten counts neither against cooldown nor against the turnover of the
day, so a restored keeper may start one that the lost memory would have refused. Hence the halt and the comparison.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from keeper.event_log import append_event, sql
from keeper.gateway import Gateway, Ok
from keeper.limits import ControlMode
from keeper.store import GLOBAL_SCOPE, KeeperStore

RESTORED = "restored"
COMPARED = "restore_compared"


@dataclass(frozen=True, slots=True)
class Comparison:
    """An account's last used sequence number, as the keeper remembers it and as the chain says.

    `remembered` None: the keeper never saw this account. `chain` None: the chain gives no answer.
    """

    account: str
    remembered: int | None
    chain: int | None

    @property
    def lost(self) -> int | None:
        """How many transactions of the account the keeper does not remember; None if that cannot be told."""
        if self.remembered is None or self.chain is None or self.chain < self.remembered:
            return None
        return self.chain - self.remembered

    @property
    def problem(self) -> str | None:
        """Why the keeper must not go on by itself, None if both agree."""
        if self.chain is None:
            return f"the chain does not tell the sequence number of {self.account}"
        if self.remembered is None:
            return f"the restored memory never saw {self.account}: nothing to compare its number {self.chain} with"
        if self.chain < self.remembered:
            return f"the chain is at number {self.chain} of {self.account}, below {self.remembered}: another chain"
        if self.lost:
            return (
                f"{self.lost} transactions of {self.account}, numbers {self.remembered + 1} to {self.chain}, are on "
                "the chain and not in the restored memory"
            )
        return None


def mark_restored(engine: Engine, made_at: str, by: str) -> None:
    """Halt every vault and remember why, in one commit. For a database that nothing else uses yet.

    made_at : when the backup was made, ISO 8601.
    """
    row = {"scope": GLOBAL_SCOPE, "mode": ControlMode.HALT.value, "reason": f"restored from a backup of {made_at}",
           "set_by": by}  # fmt: skip
    with engine.begin() as connection:
        connection.execute(
            sql("insert into keeper.control (scope, mode, reason, set_by) values (:scope, :mode, :reason, :set_by)"),
            row,
        )
        append_event(connection, None, "control", row)
        append_event(connection, None, RESTORED, {"made_at": made_at, "by": by})


def to_compare(engine: Engine) -> Mapping[str, Any] | None:
    """The newest restore that was not compared with the chain yet, None if there is none."""
    query = sql("select kind, body from keeper.events where kind = any(:kinds) order by seq desc limit 1")
    with engine.connect() as connection:
        newest = connection.execute(query, {"kinds": [RESTORED, COMPARED]}).one_or_none()
    return None if newest is None or newest.kind == COMPARED else dict(newest.body)


def compare(engine: Engine, gateway: Gateway, account: str) -> Comparison:
    """Ask the chain for the account's sequence number. Call it when no intent of the account is open any more.

    What the keeper remembers is the higher of the last number that a ledger used up for it and the number that the
    newest decision saw: a decision looks at the chain only when nothing is open.
    """
    query = sql("""
        select (inputs #>> '{chain,sequence}')::bigint from keeper.decisions
        where inputs #>> '{chain,account}' = :account order by created_at desc limit 1""")
    with engine.connect() as connection:
        seen = connection.execute(query, {"account": account}).scalar()
    remembered = max(KeeperStore(engine).last_used_sequence(account), seen or 0)
    answer = gateway.account(account)
    return Comparison(account, remembered or None, answer.value.sequence if isinstance(answer, Ok) else None)


def note_compared(engine: Engine, found: list[Comparison], evidence: str | None, by: str) -> None:
    """The end of a restore: what was found, and what a person knows about transactions that were forgotten."""
    told = [{"account": c.account, "remembered": c.remembered, "chain": c.chain} for c in found]
    with engine.begin() as connection:
        append_event(connection, None, COMPARED, {"found": told, "evidence": evidence, "by": by})
