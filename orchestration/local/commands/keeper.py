"""`ballast keeper status | once | reconcile | pause | reduce-only | resume | resolve`: the keeper without Dagster.

The switch, the status and the end of an intent need the database alone, so they work while the chain does not.
"""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table
from sqlalchemy.exc import NoResultFound

from keeper.cli import keeper_status, pause, resolve, resume
from keeper.event_log import BrokenEventLog
from keeper.intent import IllegalTransition, Intent, IntentState
from keeper.limits import ControlMode, Phase
from keeper.store import GLOBAL_SCOPE, KeeperStore
from orchestration.local.commands import keeper_live, keeper_restored
from orchestration.local.commands.common import CommandError, Context, Subparsers, branch, leaf, warehouse_engine
from orchestration.local.commands.keeper_chain import known_vaults, nodes_option, on_each
from orchestration.local.report import minute, table_of

if TYPE_CHECKING:
    from orchestration.local.commands.keeper_chain import Kept

_HASH_SHOWN = 16
_ENDS = (IntentState.CONFIRMED, IntentState.FAILED, IntentState.ABANDONED)
_STYLE = {ControlMode.RUN: "green", ControlMode.REDUCE_ONLY: "yellow", ControlMode.HALT: "bold red"}


def register(commands: Subparsers) -> None:
    keeper = branch(commands, "keeper", "decisions and transactions of the vaults, and the switch that stops them")
    shown = leaf(
        keeper, "status", "switch, newest decisions, open transactions, event log; exit 1 if a human is needed", status
    )
    shown.add_argument("--vault", metavar="ID", help="one vault (default: all)")
    shown.add_argument("--limit", type=int, default=5, metavar="N", help="decisions of each vault (default 5)")
    once = leaf(keeper, "once", "one tick of each vault: judge the newest target, act, follow to its end", run_once)
    once.add_argument("--vault", metavar="ID", help="one vault (default: all)")
    nodes_option(once)
    followed = leaf(keeper, "reconcile", "follow every transaction that has no end yet; starts nothing new", reconcile)
    nodes_option(followed)
    _switch(keeper, "pause", "stop the keeper: nothing is signed or sent until `resume`", ControlMode.HALT)
    _switch(keeper, "reduce-only", "allow only moves that raise the stable leg", ControlMode.REDUCE_ONLY)
    _switch(keeper, "resume", "take a switch back; a stricter one of the other scope still rules", ControlMode.RUN)
    ended = leaf(keeper, "resolve", "close an intent that needs a human, with what was found out", close)
    ended.add_argument("intent", metavar="INTENT", type=keeper_live.intent_id)
    ended.add_argument(
        "state", metavar="END", choices=[state.value for state in _ENDS], help="confirmed, failed or abandoned"
    )
    ended.add_argument("--evidence", required=True, metavar="TEXT", help="what was found on the chain, and where")
    _by(ended)
    keeper_live.register(keeper)


def _switch(keeper: Subparsers, name: str, description: str, mode: ControlMode) -> None:
    parser = leaf(keeper, name, description, lambda context, options: turn(context, options, mode))
    parser.add_argument("reason", metavar="REASON", help="why; it is stored with the switch")
    parser.add_argument("--vault", metavar="ID", help="one vault (default: all vaults)")
    if mode is ControlMode.RUN:
        parser.add_argument(
            "--evidence", metavar="TEXT", help="after a restore: what is known of transactions that it forgot"
        )
        nodes_option(parser)
    _by(parser)


def _by(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--by", metavar="NAME", help="who (default: the user of this process)")


def status(context: Context, options: argparse.Namespace) -> int:
    """Exit code 1 while an intent needs a human or the event log does not hold."""
    if options.limit < 1:
        raise CommandError("--limit: a number from 1 on")
    calls = False
    with warehouse_engine(context.settings) as engine:
        store = KeeperStore(engine)
        vaults = known_vaults(engine, options.vault)
        if not vaults:
            context.console.print("No vault is kept yet.")
        for vault in vaults:
            try:
                found = keeper_status(store, vault, options.limit)
            except BrokenEventLog as error:
                context.errors.print(f"[bold red]{escape(str(error))}[/]: somebody altered the keeper's log")
                return 1
            calls |= any(intent.state is IntentState.NEEDS_HUMAN for intent in found.open_intents)
            switch = found.control
            context.console.print(
                f"[bold]{escape(vault)}[/] switch [{_STYLE[switch.mode]}]{switch.mode}[/] ({escape(switch.reason)}), "
                f"{len(found.open_intents)} open, event log of {found.events:,} holds", highlight=False,
            )  # fmt: skip
            context.console.print(_decisions(found.decisions) if found.decisions else "  nothing decided yet")
            for intent in found.open_intents:
                context.console.print(f"  open: {_told(intent)}", highlight=False)
    return 1 if calls else 0


def turn(context: Context, options: argparse.Namespace, mode: ControlMode) -> int:
    """Append a position of the switch. It is read before building, before signing and before a first send."""
    reason, by = options.reason.strip(), options.by or getpass.getuser()
    if not reason:
        raise CommandError("REASON: say why in a word or more")
    if mode is not ControlMode.HALT and options.vault is None:
        keeper_restored.compare_first(context, getattr(options, "evidence", None), by)
    with warehouse_engine(context.settings) as engine:
        store = KeeperStore(engine)
        scope = known_vaults(engine, options.vault)[0] if options.vault else GLOBAL_SCOPE
        if mode is ControlMode.RUN:
            resume(store, reason, by, scope)
        else:
            pause(store, reason, by, scope, mode)
        ruling = {vault: store.control(vault) for vault in known_vaults(engine, options.vault)}
    for vault, control in ruling.items():
        context.console.print(
            f"{escape(vault)}: [{_STYLE[control.mode]}]{control.mode}[/] ({escape(control.reason)})", highlight=False
        )
    return 0


def close(context: Context, options: argparse.Namespace) -> int:
    """Close an intent by hand. The switch stays as it is: `resume` is a step of its own."""
    with warehouse_engine(context.settings) as engine:
        try:
            ended = resolve(
                KeeperStore(engine), options.intent, IntentState(options.state), options.evidence,
                options.by or getpass.getuser(),
            )  # fmt: skip
        except NoResultFound:
            raise CommandError(f"INTENT: there is none with the id {options.intent}; `ballast keeper status`") from None
        except IllegalTransition as error:
            raise CommandError(f"INTENT: {error}") from error
    context.console.print(f"{_told(ended)}; the switch is as it was: `ballast keeper resume` is yours", highlight=False)
    return 0


def run_once(context: Context, options: argparse.Namespace) -> int:
    """Exit code 1 if a vault's transaction did not end well or its phase is refused; not to act is none of that."""
    from orchestration.resources.vault import newest_target, prices, second_prices

    def tick(kept: Kept) -> bool:
        workspace, vault = kept.workspace, kept.vault
        known = prices(vault, workspace.warehouse, workspace.now())
        second = second_prices(vault, workspace.warehouse, workspace.now())
        target = newest_target(vault, workspace.warehouse, known, second)
        kept.connection.tell_prices(known)
        done = kept.keeper.tick(target, workspace.now())
        followed = f", intent {done.intent_state} {done.tx_hash or ''}" if done.intent_state else ""
        context.console.print(
            f"{escape(vault.id)}: {done.verdict} ({', '.join(done.reasons)}){followed}", highlight=False
        )
        for intent in KeeperStore(workspace.warehouse.engine).open_intents_of(vault.id):
            if intent.state is IntentState.SIMULATED and kept.connection.config.phase is Phase.APPROVE:
                context.console.print(f"  waits for `ballast keeper approve {intent.id}`", highlight=False)
                return not kept.refused
        return not kept.refused and done.intent_state in (None, IntentState.CONFIRMED, IntentState.SKIPPED)

    return on_each(context, options.vault, tick)


def reconcile(context: Context, options: argparse.Namespace) -> int:
    """Exit code 1 while an intent stays open."""

    def follow(kept: Kept) -> bool:
        for intent in kept.keeper.reconcile(kept.workspace.now()):
            context.console.print(f"{escape(kept.vault.id)}: {_told(intent)}", highlight=False)
        left = KeeperStore(kept.workspace.warehouse.engine).open_intents_of(kept.vault.id)
        context.console.print(f"{escape(kept.vault.id)}: {len(left)} open", highlight=False)
        return not left

    return on_each(context, None, follow)


def _decisions(rows: Sequence[dict[str, Any]]) -> Table:
    table = table_of("", ("market time", "verdict", "phase", "outcome", "transaction"))
    table.add_column("why", overflow="fold")
    for row in rows:
        why = [*row["reasons"], *([row["intent_reason"]] if row["intent_reason"] else [])]
        table.add_row(
            minute(row["market_time"]), row["verdict"], row["phase"], row["intent_state"] or "-",
            (row["tx_hash"] or "-")[:_HASH_SHOWN], escape("; ".join(why)),
        )  # fmt: skip
    return table


def _told(intent: Intent) -> str:
    why = f" ({escape(intent.reason)})" if intent.reason else ""
    return f"intent {intent.id} {intent.state}{why}, {intent.attempts} attempts"
