"""`ballast keeper phase | approve | decline | export-unsigned`: steps of going live, a human's word on each move."""

from __future__ import annotations

import argparse
import getpass
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from rich.markup import escape
from sqlalchemy.exc import NoResultFound

from keeper.cli import approve, decline
from keeper.intent import IllegalTransition, Intent
from keeper.limits import Phase
from keeper.store import KeeperStore
from orchestration.local.commands.common import CommandError, Context, Subparsers, leaf, warehouse_engine
from orchestration.local.commands.keeper_chain import Kept, nodes_option, on_each

if TYPE_CHECKING:
    from keeper.golive import Check

_LEAST_S, _MOST_S = 30, 3600


def register(keeper: Subparsers) -> None:
    asked = leaf(keeper, "phase", "what a phase needs, check by check; exit 1 if it is refused", check_phase)
    asked.add_argument(
        "phase", nargs="?", type=Phase, choices=list(Phase), help="default: the phase of BALLAST_KEEPER_PHASE"
    )
    asked.add_argument("--vault", metavar="ID", help="one vault (default: all)")
    nodes_option(asked)
    given = leaf(keeper, "approve", "give leave to sign one intent that waits for it", give_leave)
    given.add_argument("intent", metavar="INTENT", type=intent_id)
    given.add_argument("--by", metavar="NAME", help="who (default: the user of this process)")
    refused = leaf(keeper, "decline", "cancel an intent that waits for leave", refuse_leave)
    refused.add_argument("intent", metavar="INTENT", type=intent_id)
    refused.add_argument("reason", metavar="REASON", help="why; it is stored with the intent")
    refused.add_argument("--by", metavar="NAME", help="who (default: the user of this process)")
    out = leaf(
        keeper,
        "export-unsigned",
        "the unsigned envelope of an intent as JSON, for a signature by hand",
        export_envelope,
    )
    out.add_argument("intent", metavar="INTENT", type=intent_id)
    out.add_argument(
        "--valid-for", type=int, default=600, metavar="SECONDS", help="bounds of an envelope built anew (default 600)"
    )
    nodes_option(out)


def intent_id(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{value!r} is no id of an intent; `ballast keeper status` has them") from None


def check_phase(context: Context, options: argparse.Namespace) -> int:
    """Settings and database first, then the chain. Exit code 1 if a vault may not be kept in the phase."""
    from keeper.golive import chain_checks, checks
    from keeper.keeper import chain_facts
    from orchestration.resources.vault_chain import VaultChain

    phase: Phase = options.phase or context.settings.keeper.phase

    def look(kept: Kept) -> bool:
        store = KeeperStore(kept.workspace.warehouse.engine)
        chain = VaultChain.of(context.settings)
        standing = chain.standing(kept.vault, store, len(kept.workspace.vaults()))
        config, gateway = kept.connection.config, kept.connection.gateway
        found = [*checks(phase, standing), *chain_checks(config, chain_facts(config, gateway))]
        return _tell(context, kept.vault.id, phase, found)

    return on_each(context, options.vault, look, Phase.SHADOW)


def give_leave(context: Context, options: argparse.Namespace) -> int:
    """The keeper signs with its next look: `reconcile`, or the minute schedule."""
    with warehouse_engine(context.settings) as engine:
        store = KeeperStore(engine)
        intent = _of(store, options.intent)
        try:
            approve(store, intent.id, options.by or getpass.getuser())
        except IllegalTransition as error:
            raise CommandError(f"INTENT: {error}") from error
    context.console.print(
        f"intent {intent.id} approved: it is built anew and signed with the next look (`ballast keeper reconcile`), "
        f"if the vault is as it was and the score still holds ({intent.not_after:%Y-%m-%d %H:%M} UTC market time)",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    return 0


def refuse_leave(context: Context, options: argparse.Namespace) -> int:
    """The score is spent with it: the next move needs the next score."""
    reason = options.reason.strip()
    if not reason:
        raise CommandError("REASON: say why in a word or more")
    with warehouse_engine(context.settings) as engine:
        store = KeeperStore(engine)
        intent = _of(store, options.intent)
        try:
            decline(store, intent.id, reason, options.by or getpass.getuser())
        except IllegalTransition as error:
            raise CommandError(f"INTENT: {error}") from error
    context.console.print(f"intent {intent.id} cancelled", highlight=False)
    return 0


def export_envelope(context: Context, options: argparse.Namespace) -> int:
    """JSON on standard output. Exit code 1 if the bounds of the envelope are over."""
    from keeper.export import NothingToExport, export_unsigned
    from keeper.gateway import Ok

    if not _LEAST_S <= options.valid_for <= _MOST_S:
        raise CommandError(f"--valid-for: a number of seconds from {_LEAST_S} to {_MOST_S}")
    with warehouse_engine(context.settings) as engine:
        vault = _of(KeeperStore(engine), options.intent).vault_id

    def write(kept: Kept) -> bool:
        store, gateway = KeeperStore(kept.workspace.warehouse.engine), kept.connection.gateway
        try:
            out = export_unsigned(
                kept.connection.config, store, gateway, options.intent, kept.workspace.now(), options.valid_for
            )
        except (NothingToExport, IllegalTransition) as error:
            raise CommandError(f"INTENT: {error}") from error
        p, clock = out.prepared, gateway.clock()
        left = p["max_time_s"] - clock.value.close_time_s if isinstance(clock, Ok) else None
        body = {
            "intent": str(out.intent.id),
            "network_passphrase": out.passphrase,
            "source": out.intent.source_account,
            "sequence": str(p["sequence"]),
            "hash": p["tx_hash"],
            "max_time": f"{datetime.fromtimestamp(p['max_time_s'], UTC):%Y-%m-%dT%H:%M:%SZ}",
            "max_ledger": p["max_ledger"],
            "seconds_left": left,
            "fee_stroops": p["fee_bid"],
            "instructions": p["instructions"],
            "unsigned_xdr": p["unsigned_xdr"],
        }
        context.console.file.write(json.dumps(body, indent=2) + "\n")  # for another program: never wrapped or coloured
        if not out.fresh:
            context.errors.print(
                "as last simulated; an intent in phase approve is built anew while it waits for leave", highlight=False
            )
        return left is None or left > 0

    return on_each(context, vault, write)


def _of(store: KeeperStore, intent: UUID) -> Intent:
    try:
        return store.intent(intent)
    except NoResultFound:
        raise CommandError(f"INTENT: there is none with the id {intent}; `ballast keeper status`") from None


def _tell(context: Context, vault: str, phase: Phase, found: Sequence[Check]) -> bool:
    good = all(check.passed for check in found)
    verdict = "[green]passes[/]" if good else "[bold red]is refused[/]"
    context.console.print(f"[bold]{escape(vault)}[/] phase {phase} {verdict}", highlight=False)
    for check in found:
        mark = "[green]ok[/]" if check.passed else "[bold red]no[/]"
        context.console.print(f"  {mark} {check.name}: {escape(check.told)}", highlight=False, soft_wrap=True)
    return good
