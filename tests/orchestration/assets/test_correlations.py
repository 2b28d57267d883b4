"""Correlations in the warehouse: each scope once a day, vaults as they hold their legs, missing pairs by name."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import dagster as dg
import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from models.contracts.clock import MarketClock
from models.contracts.tables import RISK_CORRELATION, RISK_REGIMES
from models.regimes.shared import shared_regime
from models.risk.correlation import ewma, ledoit_wolf
from orchestration.assets.correlations import correlate_all, correlation, due
from orchestration.checks.risk_checks import positive_semi_definite
from orchestration.resources.correlation import MARKET, as_row, daily_returns
from orchestration.resources.workspace import Workspace
from tests.orchestration.assets.market_days import (
    BTC,
    DAY,
    MIDNIGHT,
    NAIRA,
    VAULT,
    feature_rows,
    make_tables,
    plant_days,
)

EWMA = ("ewma", "all")
DAYS = 420


@pytest.fixture
def market(workspace: Workspace) -> Workspace:
    make_tables(workspace)
    plant_days(workspace, DAYS)
    return workspace


def run(workspace: Workspace) -> dict[str, Any]:
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([correlation], resources={"workspace": workspace}, instance=instance)
        return dict(done.asset_materializations_for_node("risk__correlation")[0].metadata)


def stored(workspace: Workspace, scope: str, as_of: datetime = MIDNIGHT) -> dict[tuple[str, str], dict[str, Any]]:
    rows = workspace.warehouse.rows(
        f"select * from {RISK_CORRELATION} where scope = :scope and as_of = :as_of", {"scope": scope, "as_of": as_of}
    )
    return {(row["method"], row["regime"]): row for row in rows}


def label(workspace: Workspace, series: str, name: str, first: int, last: int) -> None:
    """A label for each day from `first` to `last`, counted back from midnight."""
    workspace.warehouse.append_table(
        RISK_REGIMES,
        [
            {
                "series": series, "as_of": MIDNIGHT - n * DAY, "method": "hmm", "status": "ok", "reasons": [],
                "label": name, "p_calm": 0.0, "p_normal": 0.0, "p_stressed": 1.0, "model_version": "hmm1-a",
                "data_mode": "simulated",
            }
            for n in range(last, first + 1)
        ],
    )  # fmt: skip


def test_each_day_has_its_matrices_once(market: Workspace) -> None:
    assert [scope.name for scope in due(market)] == [MARKET, VAULT]
    metadata = run(market)
    assert metadata["dagster/row_count"].value == 2 * 5
    assert due(market) == []
    assert run(market)["dagster/row_count"].value == 0
    for image in (metadata["now_market"], metadata[f"now_{VAULT}"]):
        assert str(image.value).startswith("![correlations](data:image/png;base64,iVBOR")
        assert len(str(image.value)) < 60_000
    assert "market | ewma | all | 150 | ok |" in str(metadata["newest"].value)
    later = MIDNIGHT + DAY + timedelta(hours=1)
    market.warehouse.set_clock(MarketClock(later, None, 1.0))
    market.warehouse.append_table(
        "features.volatility", feature_rows(BTC, "candles", [MIDNIGHT + DAY], np.array([0.02]))
    )
    before = stored(market, MARKET)
    assert run(market)["dagster/row_count"].value == 2 * 5
    assert stored(market, MARKET) == before
    assert stored(market, MARKET, MIDNIGHT + DAY)[EWMA]["valid_until"] == MIDNIGHT + 2 * DAY + timedelta(hours=2)


def test_the_present_is_that_of_fading_days(market: Workspace) -> None:
    run(market)
    found = stored(market, MARKET)[EWMA]
    ret = daily_returns(market.warehouse, [BTC, NAIRA], 150, MIDNIGHT).to_numpy()
    want = ewma(ret, [BTC, NAIRA], ["coins", "rates"])
    np.testing.assert_allclose(found["matrix"], want.matrix, atol=1e-9)
    assert found["common_days"] == want.common_days.tolist() == [[150, 108], [108, 108]]
    assert (found["names"], found["shrinkage"]) == ([BTC, NAIRA], want.shrinkage)
    np.testing.assert_allclose(found["measured"], want.measured, atol=1e-9)
    assert found["low"][0][1] < 0.64 < found["high"][0][1]  # 0.8 squared is how they were made
    assert found["first_eigenvalue_share"] == pytest.approx((1 + found["matrix"][0][1]) / 2)
    assert found["change_30d_pair"] == [BTC, NAIRA]
    assert found["change_30d_mean"] == found["change_30d_largest"] > 0


def test_a_vault_holds_the_other_side_of_a_rate(market: Workspace) -> None:
    run(market)
    ours, theirs = stored(market, VAULT)[EWMA], stored(market, MARKET)[EWMA]
    assert sorted(ours["names"]) == ["BTC", "cNGN"]
    assert ours["matrix"][0][1] == pytest.approx(-theirs["matrix"][0][1])


def test_regimes_have_the_days_that_carry_their_label(market: Workspace) -> None:
    label(market, BTC, "stressed", 99, 0)
    label(market, NAIRA, "calm", 99, 90)
    label(market, VAULT, "calm", 199, 120)
    run(market)
    found = stored(market, MARKET)
    ret = daily_returns(market.warehouse, [BTC, NAIRA], 100, MIDNIGHT).to_numpy()
    want = ledoit_wolf(ret, [BTC, NAIRA], ["coins", "rates"])  # a calm rate beside a stressed coin is a stressed day
    np.testing.assert_allclose(found["ledoit_wolf", "stressed"]["matrix"], want.matrix, atol=1e-9)
    assert found["ledoit_wolf", "stressed"]["days"] == 100
    none = found["ledoit_wolf", "normal"]
    assert (none["status"], none["required"], none["received"], none["matrix"]) == ("insufficient_data", 60, 0, None)
    assert stored(market, VAULT)["ledoit_wolf", "calm"]["days"] == 80


def test_a_pair_that_hardly_met_is_missing_and_named(workspace: Workspace) -> None:
    make_tables(workspace)
    plant_days(workspace, DAYS, rate_days=60)
    run(workspace)
    found = stored(workspace, MARKET)[EWMA]
    assert (found["status"], found["required"]) == ("insufficient_data", 60)
    (pair,) = found["missing_pairs"]
    assert pair == {"a": BTC, "b": NAIRA, "common_days": found["received"]}
    assert 35 < pair["common_days"] < 60
    assert found["reasons"] == ["1 of 1 pairs have no number: under 60 common days, or one stood still"]


def test_held_prints_are_no_returns(market: Workspace) -> None:
    with market.warehouse.engine.begin() as connection:
        connection.execute(
            text("update features.volatility set is_held = 1 where series = 'BTC' and as_of > :since"),
            {"since": MIDNIGHT - 10 * DAY},
        )
    ret = daily_returns(market.warehouse, [BTC, NAIRA], 30, MIDNIGHT)
    assert ret[BTC].notna().tolist() == [True] * 20 + [False] * 10
    assert ret.index[-1] == MIDNIGHT
    assert ret[NAIRA].notna().sum() == 22


def test_the_same_day_gives_the_same_bytes(market: Workspace) -> None:
    first, second = ([as_row(scope, said, MIDNIGHT) for scope, said in correlate_all(market)] for _ in range(2))
    assert first == second
    assert len(first) == 10


def test_a_matrix_that_is_none_is_found(market: Workspace) -> None:
    context = dg.build_asset_check_context()
    assert positive_semi_definite(context, market).passed
    row = as_row(*next(correlate_all(market)), MIDNIGHT)
    run(market)
    assert positive_semi_definite(context, market).passed
    for day, wrong in enumerate(([[1.0, 1.2], [1.2, 1.0]], [[1.0, 0.2], [0.3, 1.0]], [[0.9, 0.2], [0.2, 1.0]])):
        bad = {**row, "matrix": wrong, "as_of": MIDNIGHT + (day + 1) * DAY, "data_mode": "simulated"}
        market.warehouse.append_table(RISK_CORRELATION, [bad])
        found = positive_semi_definite(context, market)
        assert isinstance(found, dg.AssetCheckResult)
        assert (found.passed, found.metadata["wrong"].value) == (False, 1)


@pytest.mark.parametrize("changes", [{"matrix": None}, {"status": "insufficient_data"}, {"shrinkage": 1.5}])
def test_matrix_and_status_belong_together(market: Workspace, changes: dict[str, Any]) -> None:
    row = as_row(*next(correlate_all(market)), MIDNIGHT)
    with pytest.raises(Exception, match="check constraint"):
        market.warehouse.append_table(RISK_CORRELATION, [{**row, "data_mode": "simulated", **changes}])


def test_what_was_said_cannot_be_changed(market: Workspace) -> None:
    run(market)
    for statement in (f"delete from {RISK_CORRELATION}", f"update {RISK_CORRELATION} set run_id = 'x'"):
        with pytest.raises(DBAPIError, match="append-only"), market.warehouse.engine.begin() as connection:
            connection.execute(text(statement))


@pytest.mark.parametrize(
    ("labels", "want"),
    [
        ([], None),
        ([None], None),
        (["calm", None], "calm"),
        (["calm", "stressed"], "stressed"),
        (["calm", "calm", "stressed"], "calm"),
        (["calm", "normal", "stressed"], "normal"),
        (["calm", "normal", "normal", "stressed"], "normal"),
    ],
)
def test_the_regime_of_several_is_that_of_the_middle_one(labels: list[str | None], want: str | None) -> None:
    assert shared_regime(labels) == want
