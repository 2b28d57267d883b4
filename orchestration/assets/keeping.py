"""`keeper.decisions` and `raw.vault_snapshots`: what the keeper decided and did, and what each vault holds afterwards.

No retry policy: a step that died after sending would send again. What is open is followed by the reconcile job.
"""

from decimal import Decimal
from typing import Any

import dagster as dg
import pandas as pd

from keeper.connection import ChainUnavailable
from keeper.keeper import TickOutcome, record_unreachable
from keeper.snapshot import VaultUnreadable, vault_state
from keeper.store import KeeperStore
from keeper.trades import MissingPrice
from models.contracts import jobs as names
from models.contracts.market import COLUMNS, Dataset
from models.contracts.tables import RAW_VAULT_SNAPSHOTS
from models.contracts.vault import Reason, VaultConfig, VaultState
from orchestration import keys
from orchestration.resources.vault import newest_target, prices, second_prices
from orchestration.resources.vault_chain import NOT_CONFIGURED, VaultChain
from orchestration.resources.warehouse import Warehouse
from orchestration.resources.workspace import Workspace

IRREGULAR = "irregular"


@dg.asset(
    key=keys.DECISIONS,
    deps=[keys.TARGETS],
    group_name=keys.KEEPER,
    kinds={"postgres", "stellar"},
    pool="keeper",
)
def keeper_decisions(
    context: dg.AssetExecutionContext, workspace: Workspace, chain: VaultChain
) -> dg.MaterializeResult[Any]:
    """One decision a tick and vault, acted or not, with its reasons; a rebalance is followed to its end on the chain.

    Grain: one row a tick. The same score never acts twice.
    """
    now, lines = workspace.now(), []
    vaults = workspace.vaults()
    for vault in vaults:
        if not chain.is_served(vault):
            context.log.warning(f"vault {vault.id}: network {vault.network} has no address configured, left alone")
            continue
        outcome = _tick(vault, len(vaults), workspace, chain, context)
        lines.append(
            {
                "vault": vault.id,
                "verdict": outcome.verdict.value,
                "because": ", ".join(outcome.reasons),
                "intent": outcome.intent_state.value if outcome.intent_state else None,
                "transaction": outcome.tx_hash,
            }
        )
    return dg.MaterializeResult(
        metadata={"dagster/row_count": len(lines), "decisions": dg.MetadataValue.json(lines), "market_time": str(now)}
    )


def _tick(
    vault: VaultConfig, vaults: int, workspace: Workspace, chain: VaultChain, context: dg.AssetExecutionContext
) -> TickOutcome:
    """One tick of a vault; a chain that cannot be reached is a decision too, and no reason to leave out the others."""
    now = workspace.now()
    known = prices(vault, workspace.warehouse, now)
    target = newest_target(vault, workspace.warehouse, known, second_prices(vault, workspace.warehouse, now))
    try:
        with chain.kept(vault, workspace.warehouse, context.run.run_id, vaults) as kept:
            for check in kept.refused:
                context.log.warning(f"vault {vault.id}: kept in shadow, {chain.phase} is refused: {check.told}")
            kept.connection.tell_prices(known)
            return kept.keeper.tick(target, now)
    except (ChainUnavailable, *NOT_CONFIGURED) as error:
        context.log.error(f"vault {vault.id}: {error}")
        reason = Reason.CHAIN_UNAVAILABLE if isinstance(error, ChainUnavailable) else Reason.NOT_CONFIGURED
        store = KeeperStore(workspace.warehouse.engine)
        return record_unreachable(store, vault.id, chain.phase, target, now, context.run.run_id, reason)


@dg.asset(
    key=keys.VAULT_SNAPSHOTS,
    deps=[keys.DECISIONS],
    group_name=keys.KEEPER,
    kinds={"postgres", "stellar"},
    pool="keeper",
)
def vault_snapshots(
    context: dg.AssetExecutionContext, workspace: Workspace, chain: VaultChain
) -> dg.MaterializeResult[Any]:
    """What each vault holds on its chain: value, share price, weights and ledger, stamped with market time.

    A vault that holds the same at the same market time is not recorded again.
    """
    now, rows = workspace.now(), []
    vaults = workspace.vaults()
    for vault in vaults:
        if not chain.is_served(vault):
            continue
        try:
            with chain.kept(vault, workspace.warehouse, context.run.run_id, len(vaults)) as kept:
                known = prices(vault, workspace.warehouse, now)
                state = vault_state(kept.connection.gateway, kept.connection.config, known)
                network = kept.connection.config.vault.network
        except (VaultUnreadable, MissingPrice, ChainUnavailable, *NOT_CONFIGURED) as error:
            context.log.warning(f"vault {vault.id} is not recorded: {error}")
            continue
        row = _row(vault, network, state, now, workspace)
        if row["weights"] != _last(workspace.warehouse, row):
            rows.append(row)
    frame = pd.DataFrame(rows, columns=list(COLUMNS[Dataset.VAULT_SNAPSHOTS]))
    added = workspace.warehouse.append(Dataset.VAULT_SNAPSHOTS, frame, context.run.run_id)
    holdings = [{"vault": row["series"], "tvl_usd": str(row["tvl_usd"]), "weights": row["weights"]} for row in rows]
    return dg.MaterializeResult(metadata={"dagster/row_count": added, "recorded": dg.MetadataValue.json(holdings)})


def _row(vault: VaultConfig, network: str, state: VaultState, now: Any, workspace: Workspace) -> dict[str, Any]:
    return {
        "series": f"vault:{vault.id}",
        "interval": IRREGULAR,
        "ts": now,
        "ledger": state.ledger,
        "tvl_usd": state.tvl_usd,
        "share_price": state.share_price,
        "weights": {symbol: str(_rounded(weight)) for symbol, weight in sorted(state.weights.items())},
        "source": network,
        "provider": "keeper",
        "data_mode": workspace.mode.value,
        "available_at": now,
    }


def _rounded(weight: Decimal) -> Decimal:
    return round(weight, 6)


def _last(warehouse: Warehouse, row: dict[str, Any]) -> dict[str, str] | None:
    """Weights recorded for the same market time: the ledger moves on by itself, holdings do not."""
    found = warehouse.rows(
        f"select weights from {RAW_VAULT_SNAPSHOTS} where series = :series and ts = :ts "
        "order by available_at desc, seq desc limit 1",
        {"series": row["series"], "ts": row["ts"]},
    )
    return dict(found[0]["weights"]) if found else None


@dg.op(name="follow_open_transactions", pool="keeper")
def follow_open_transactions(context: dg.OpExecutionContext, workspace: Workspace, chain: VaultChain) -> None:
    """Advance every intent that has no end yet. Safe at any time and beside any other run; idle, it asks no node."""
    vaults, missed, store = workspace.vaults(), [], KeeperStore(workspace.warehouse.engine)
    for vault in vaults:
        if not chain.is_served(vault) or not store.open_intents_of(vault.id):
            continue
        try:
            with chain.kept(vault, workspace.warehouse, context.run_id, len(vaults)) as kept:
                for intent in kept.keeper.reconcile(workspace.now()):
                    context.log.info(f"vault {vault.id}: intent {intent.id} is {intent.state.value}")
        except (ChainUnavailable, *NOT_CONFIGURED) as error:  # the transactions of the other vaults go on
            context.log.error(f"vault {vault.id}: {error}")
            missed.append(vault.id)
    if missed:
        raise dg.Failure(f"open transactions could not be followed: {', '.join(missed)}")


@dg.job(name=names.KEEPER_RECONCILE, executor_def=dg.in_process_executor)
def keeper_reconcile() -> None:
    """Follow transactions whose run ended before they did."""
    follow_open_transactions()
