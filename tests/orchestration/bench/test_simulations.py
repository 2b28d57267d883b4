"""Simulations of the bench at a toy size: the coins of a vault become one of its own, each run has a seed."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text

from orchestration.bench import simulations
from orchestration.bench.document import Unmeasured
from tests.stored_market import write_market


def test_a_vault_of_coins_is_simulated(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    write_market(engine)
    monkeypatch.setattr(simulations, "PATHS", 100)
    monkeypatch.setattr(simulations, "DAYS", 1)
    found = simulations.measure(engine.url.render_as_string(hide_password=False), repeats=2)
    assert found["body"] == {"vault_id": "bench_coins", "paths": 100, "days": 1, "step": "hour"}
    assert found["legs"]["value"] == 3
    assert len(found["in_process"]["runs"]) == 2
    assert found["in_process"]["max"]["value"] >= found["in_process"]["value"] > 0
    with engine.connect() as connection:
        config = connection.execute(text("select config from ops.vaults where id = 'bench_coins'")).scalar_one()
    assert [leg["symbol"] for leg in config["assets"]] == ["USDC", "BTC", "ETH"]


def test_without_a_vault_there_is_nothing_to_measure(engine: Engine) -> None:
    with pytest.raises(Unmeasured, match="no vault has a leg with hourly closes"):
        simulations.measure(engine.url.render_as_string(hide_password=False), repeats=1)
