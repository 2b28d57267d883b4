"""Whether two price sources agree on every leg of a vault. Pure.

A swap is bounded by our own prices alone, so a wrong one is paid for. A second source that is missing is no agreement.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from models.contracts.vault import Reason, VaultConfig


def price_gaps(
    vault: VaultConfig, prices: Mapping[str, Decimal], second: Mapping[str, Decimal]
) -> dict[str, Decimal | None]:
    """Relative gap by leg: distance of the two prices over the smaller one; None where one of them is missing.

    Parameters
    ----------
    prices, second : dollars a whole token by symbol. The stable leg is a dollar by definition: it is compared only if
        the second source prices it.
    """
    gaps: dict[str, Decimal | None] = {}
    for asset in vault.assets:
        if asset.stable and asset.symbol not in second:
            continue
        one, other = prices.get(asset.symbol, Decimal(1) if asset.stable else None), second.get(asset.symbol)
        known = _is_price(one) and _is_price(other)
        gaps[asset.symbol] = abs(one - other) / min(one, other) if known and one and other else None
    return gaps


def price_problem(vault: VaultConfig, prices: Mapping[str, Decimal], second: Mapping[str, Decimal]) -> Reason | None:
    """Why prices forbid any swap, None if they agree or the vault asks for one source only (`max_price_gap` None)."""
    most = vault.limits.max_price_gap
    if most is None:
        return None
    if any(not asset.stable and not _is_price(prices.get(asset.symbol)) for asset in vault.assets):
        return Reason.PRICE_MISSING
    gaps = price_gaps(vault, prices, second).values()
    if any(gap is None for gap in gaps):
        return Reason.SECOND_PRICE_MISSING
    return Reason.PRICES_DISAGREE if any(gap is not None and gap > most for gap in gaps) else None


def _is_price(price: Decimal | None) -> bool:
    return price is not None and price.is_finite() and price > 0
