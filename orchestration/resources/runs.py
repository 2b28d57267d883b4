"""Runs over the warehouse: what one reads, and the registry that keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.runs.reading import StoredMarket
from models.runs.registry import Registry

if TYPE_CHECKING:
    from orchestration.resources.warehouse_tables import Tables


def registry_of(warehouse: Tables) -> Registry:
    return Registry(warehouse.rows, warehouse.rows)


def market_of(warehouse: Tables) -> StoredMarket:
    return StoredMarket(warehouse.rows)
