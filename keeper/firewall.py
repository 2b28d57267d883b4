"""What a simulated transaction may be before anybody signs it: fee, authorizations, what it writes, where it ends.

Pure. The signer checks the envelope once more by itself (`keeper.signing.envelope`); here is what only the simulation
can tell.
"""

from __future__ import annotations

from keeper.gateway import Prepared, VaultView
from keeper.limits import KeeperConfig, KeeperLimits
from keeper.trades import TradePlan, outside_bounds


def known_contracts(config: KeeperConfig, vault: VaultView) -> frozenset[str]:
    """Contracts a rebalance may write: the vault, its tokens and strategies, and what the configuration adds."""
    strategies = {strategy.address for funds in vault.funds for strategy in funds.strategies}
    return config.known_contracts | strategies | {vault.contract} | {funds.asset for funds in vault.funds}


def refusal(
    prepared: Prepared, plan: TradePlan, known: frozenset[str], limits: KeeperLimits, max_fee_stroops: int
) -> str | None:
    """Why the transaction must not be signed, None if it may.

    Fees are checked apart and together: a resource fee far above what such calls cost is another call than the one
    that was meant, even where the total would still pass.

    Parameters
    ----------
    prepared : the assembled transaction as the node simulated it.
    plan : what was asked for, with the least and most that each token may end at.
    known : contracts that may be written (`known_contracts`).
    max_fee_stroops : cap of the whole fee.
    """
    fees = (
        ("inclusion fee", prepared.inclusion_fee, limits.max_inclusion_fee_stroops),
        ("resource fee", prepared.resource_fee, limits.max_resource_fee_stroops),
        ("fee", prepared.fee_bid, max_fee_stroops),
    )
    for name, fee, cap in fees:
        if fee > cap:
            return f"{name} {fee} above the cap of {cap} stroops"
    if prepared.foreign_auth:
        return "the call asks for an authorization that is not the keeper's own for exactly this call"
    if prepared.own_writes:
        return "the call would write the keeper's own account"
    unknown = prepared.touched - known
    if unknown:
        return f"the call would write {min(unknown)}, which is not among the known contracts"
    if prepared.balances is None and not limits.require_state_changes:
        return None  # a simple node of a development network: least outputs and the vault itself bound the outcome
    return outside_bounds(plan, prepared.balances)
