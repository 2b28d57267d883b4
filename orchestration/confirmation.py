"""How many sources speak of what a score rests on: a print that others confirm is found out sooner when it is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from models.contracts.market import SeriesSpec
from models.contracts.vault import VaultConfig


def sources_of(specs: Sequence[SeriesSpec], fresh: Collection[str]) -> dict[str, int]:
    """By series: how many sources have a fresh series of the same pair, its own included; at least 1."""
    pairs = {spec.id: (spec.base, spec.quote) for spec in specs}
    speaking = Counter(pair for pair, _ in {(pairs[spec.id], spec.source) for spec in specs if spec.id in fresh})
    return {series: max(1, speaking[pair]) for series, pair in pairs.items()}


def sources_of_vault(vault: VaultConfig, sources: Mapping[str, int]) -> int:
    """Those of the risky leg with the fewest; 1 without such a leg."""
    risky = [sources.get(asset.series, 1) for asset in vault.assets if asset.series is not None and not asset.stable]
    return min(risky, default=1)
