from __future__ import annotations

from collections.abc import Iterator

import pytest

from orchestration.resources.warehouse import Warehouse


@pytest.fixture
def warehouse(database_url: str) -> Iterator[Warehouse]:
    made = Warehouse.connect(database_url)
    yield made
    made.close()
