"""What `ballast keeper resume` does first after a restore: follow what is open, compare the memory with the chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from keeper.restored import Comparison, compare, note_compared, to_compare
from keeper.store import KeeperStore
from orchestration.local.commands.common import CommandError, Context, warehouse_engine
from orchestration.local.commands.keeper_chain import on_each

if TYPE_CHECKING:
    from orchestration.local.commands.keeper_chain import Kept


def compare_first(context: Context, evidence: str | None, by: str) -> None:
    """Nothing, unless a restore was not compared yet. Raises CommandError while the switch must stay where it is.

    `evidence`: a person's word about transactions that the restored memory lacks; it is kept in the event log.
    """
    with warehouse_engine(context.settings) as engine:
        restore = to_compare(engine)
        if restore is None:
            return
        found: list[Comparison] = []
        left = 0

        def look(kept: Kept) -> bool:
            nonlocal left
            kept.keeper.reconcile(kept.workspace.now())
            left += len(KeeperStore(engine).open_intents_of(kept.vault.id))
            found.append(compare(engine, kept.connection.gateway, kept.connection.config.source_account))
            return True

        on_each(context, None, look)
        if left:
            raise CommandError(f"{left} transactions have no end yet: `ballast keeper reconcile`, then resume again")
        problems = sorted({item.problem for item in found if item.problem is not None})
        told = evidence.strip() if evidence else None
        if not found:
            problems = ["no vault has a chain that could be asked"]
        if problems and not told:
            raise CommandError(
                f"restored from a backup of {restore['made_at']}: {'; '.join(problems)}. Find out what they did, wait "
                'a day of market time, then resume with --evidence "what you found"'
            )
        note_compared(engine, found, told, by)
        for item in found:
            context.console.print(
                f"{escape(item.account)}: remembered {item.remembered}, chain {item.chain}", highlight=False
            )
