"""What the keeper needs to know of the market: a vault's newest target and the prices to move it at.

Rows only. Whether and how to act is `keeper`, what to want is `models.allocation`, where the vault is
`orchestration.resources.vault_chain`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from keeper.decision import TargetInput
from models.contracts.market import DataMode
from models.contracts.tables import OPS_SERIES, RISK_SCORES, RISK_TARGET_ALLOCATIONS
from models.contracts.vault import PolicyState, Target, VaultConfig
from orchestration.resources.features import FEATURES
from orchestration.resources.warehouse import Warehouse

DOLLARS = ("USD", "USDT", "USDC", "BUSD")


def prices(vault: VaultConfig, warehouse: Warehouse, now: datetime) -> dict[str, Decimal]:
    """Dollars a whole token of each leg, from the newest close that features believe; a leg without one is left out.

    So is a leg whose close is older than its series may be: it would set the bounds of a swap. A token of the quote
    currency is worth 1 / rate. The stable leg is a dollar by definition and has no series.
    """
    series = {asset.series for asset in vault.assets if asset.series is not None}
    rows = warehouse.rows(
        f"""
        select distinct on (f.series) f.series, f.close::text as close, f.as_of, s.max_age_s
        from {FEATURES} as f join {OPS_SERIES} as s on s.id = f.series and s.kind = f.kind and s.scored
        where f.series = any(:series) and f.close > 0 and f.as_of <= :now
        order by f.series, f.as_of desc
        """,
        {"series": sorted(series), "now": now},
    )
    return _by_leg(vault, rows, now)


def second_prices(vault: VaultConfig, warehouse: Warehouse, now: datetime) -> dict[str, Decimal]:
    """The same from another source: the newest close of a series of the same pair that another source publishes.

    Dollars of any kind count as one quote. A leg without such a series, or with one that is too old, is left out:
    with `max_price_gap` the keeper then makes no swap.
    """
    series = {asset.series for asset in vault.assets if asset.series is not None}
    rows = warehouse.rows(
        f"""
        select distinct on (own.id) own.id as series, f.close::text as close, f.as_of, other.max_age_s
        from {OPS_SERIES} as own
        join {OPS_SERIES} as other on other.dataset = own.dataset and other.base = own.base
            and other.source <> own.source
            and (other.quote = own.quote or (own.quote = any(:dollars) and other.quote = any(:dollars)))
        join {FEATURES} as f on f.series = other.id and f.kind = other.kind
        where own.id = any(:series) and own.scored and other.scored and f.close > 0 and f.as_of <= :now
            and f.as_of >= cast(:now as timestamptz) - make_interval(secs => other.max_age_s)
        order by own.id, f.as_of desc, other.id
        """,
        {"series": sorted(series), "now": now, "dollars": list(DOLLARS)},
    )
    return _by_leg(vault, rows, now)


def _by_leg(vault: VaultConfig, rows: Sequence[Mapping[str, Any]], now: datetime) -> dict[str, Decimal]:
    rows = [row for row in rows if row["as_of"] + timedelta(seconds=row["max_age_s"]) >= now]
    closes = {str(row["series"]): Decimal(row["close"]) for row in rows}
    found: dict[str, Decimal] = {}
    for asset in vault.assets:
        if asset.series in closes:
            found[asset.symbol] = 1 / closes[asset.series] if asset.invert else closes[asset.series]
    return found


def newest_target(
    vault: VaultConfig,
    warehouse: Warehouse,
    known_prices: Mapping[str, Decimal],
    second: Mapping[str, Decimal] | None = None,
) -> TargetInput | None:
    """Newest row of `risk.target_allocations` for a vault as the keeper reads it, None if there is none.

    `second`: `second_prices`; None counts as a source that prices nothing.
    """
    rows = warehouse.rows(
        "select t.id, t.as_of, t.valid_until, t.state, t.weights, t.score, t.model_version, t.policy_version, "
        "t.reasons, t.data_mode, t.share_imputed, t.degraded, s.sigma_ann "
        f"from {RISK_TARGET_ALLOCATIONS} as t left join {RISK_SCORES} as s on s.id = t.score_id "
        "where t.vault_id = :vault order by t.as_of desc, t.id desc limit 1",
        {"vault": vault.id},
    )
    if not rows:
        return None
    row = rows[0]
    target = Target(
        vault_id=vault.id,
        as_of=row["as_of"],
        state=PolicyState(row["state"]),
        weights={symbol: Decimal(str(weight)) for symbol, weight in row["weights"].items()},
        reasons=tuple(row["reasons"]),
        score=row["score"],
        policy_version=row["policy_version"],
        usable=not row["degraded"],
        sigma_ann=row["sigma_ann"],
    )
    return TargetInput(
        target=target,
        valid_until=row["valid_until"],
        data_mode=DataMode(row["data_mode"]),
        share_imputed=row["share_imputed"],
        prices=known_prices,
        model_version=row["model_version"],
        target_id=row["id"],
        second_prices=dict(second or {}),
    )
