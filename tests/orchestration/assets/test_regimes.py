"""Regimes in the warehouse: each origin is labelled once, on the day it closes, by parameters that are kept."""

from __future__ import annotations

from datetime import datetime, timedelta

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from models.contracts.clock import MarketClock
from models.contracts.market import SeriesKind
from models.contracts.tables import RISK_REGIME_CHAINS, RISK_REGIMES
from models.regimes.states import Method
from orchestration.assets.regimes import due, label_all, regimes
from orchestration.checks.regime_checks import filtered, labelled
from orchestration.resources.features import PANEL_COLUMNS
from orchestration.resources.regimes import known_chains, labels, newest_labelled
from orchestration.resources.workspace import Workspace
from tests.orchestration.conftest import NOW, catalogue

DAY = timedelta(days=1)
MIDNIGHT = NOW.replace(hour=0)
DAYS = 480
BTC, NAIRA, VAULT = "BTC", "USDNGN:official", "vault:mixed"


def _rows(series: str, kind: str, moments: list[datetime], seed: int) -> pd.DataFrame:
    """Variance that moves between three levels for weeks at a time."""
    rng = np.random.default_rng(seed)
    level = np.array([-9.0, -7.5, -6.0])[(np.arange(len(moments)) // 20) % 3]
    rv = np.exp(level + 0.5 * rng.standard_normal(len(moments)))
    return pd.DataFrame(
        {
            "series": series, "kind": kind, "as_of": moments, "is_origin": True, "rv": rv,
            "ret": np.sqrt(rv) * rng.standard_normal(len(moments)), "is_held": 0.0, "share_imputed": 0.0,
            "unchanged_share": 0.0,
        }
    )  # fmt: skip


@pytest.fixture
def market(workspace: Workspace) -> Workspace:
    """A coin that is scored each hour and a rate whose newest day has not closed yet."""
    columns = ", ".join(f"{name} float8" for name in PANEL_COLUMNS if name not in ("series", "as_of"))
    with workspace.warehouse.engine.begin() as connection:
        connection.execute(
            text(
                "create table features.volatility "
                f"(series text, kind text, as_of timestamptz, is_origin boolean, {columns})"
            )
        )
        catalogue(connection)
    nights = [MIDNIGHT - n * DAY for n in reversed(range(DAYS))]
    weekdays = [night for night in [*nights, MIDNIGHT + DAY] if (night - DAY).weekday() < 5]
    for frame in (_rows(BTC, "candles", nights, 1), _rows(NAIRA, "ranges", weekdays, 2)):
        workspace.warehouse.append_table("features.volatility", frame)
    later = _rows(BTC, "candles", [MIDNIGHT + timedelta(hours=h) for h in range(1, 13)], 3).assign(is_origin=False)
    workspace.warehouse.append_table("features.volatility", later)
    return workspace


def _run(workspace: Workspace) -> dict[str, int]:
    done = label_all(workspace, "run")
    return {"rows": done.rows, "fits": done.fits, "series": done.newest["series"].nunique()}


def _stored(workspace: Workspace, series: str, method: str = "hmm") -> pd.DataFrame:
    return workspace.warehouse.read(
        f"select * from {RISK_REGIMES} where series = :series and method = :method order by as_of",
        {"series": series, "method": method},
    )


def _at(workspace: Workspace, moment: datetime) -> None:
    workspace.warehouse.set_clock(MarketClock(moment, None, 1.0))


def test_each_origin_is_labelled_once(market: Workspace) -> None:
    first = _run(market)
    assert first["series"] == 3
    assert first["fits"] > 0
    coin, rate = _stored(market, BTC), _stored(market, NAIRA)
    assert len(coin) == len(_stored(market, BTC, "rule")) == DAYS
    assert coin["as_of"].iloc[-1] == MIDNIGHT
    assert rate["as_of"].iloc[-1] <= NOW  # tomorrow's midnight has not come
    assert len(_stored(market, VAULT)) > 0
    assert set(coin["status"]) == {"insufficient_data", "ok"} | ({"degraded"} & set(coin["status"]))
    assert set(coin["label"].dropna()) == {"calm", "normal", "stressed"}
    assert _run(market) == {"rows": 0, "fits": 0, "series": 0}
    assert due(market, market.now()) == []


def test_a_new_day_adds_its_own_rows_and_leaves_the_others(market: Workspace) -> None:
    _run(market)
    before, chains = _stored(market, BTC), known_chains(market.warehouse, [BTC])
    # Yesterday is corrected after its label was said.
    with market.warehouse.engine.begin() as connection:
        connection.execute(text("update features.volatility set rv = rv * 100 where series = 'BTC' and as_of < :m"),
                           {"m": MIDNIGHT})  # fmt: skip
    market.warehouse.append_table("features.volatility", _rows(BTC, "candles", [MIDNIGHT + DAY], 4))
    assert due(market, NOW) == []
    _at(market, MIDNIGHT + DAY + timedelta(hours=1))
    assert SeriesKind.CANDLES in due(market, market.now())
    _run(market)
    after = _stored(market, BTC)
    pd.testing.assert_frame_equal(after.iloc[:-1], before)
    assert after["as_of"].iloc[-1] == MIDNIGHT + DAY
    assert known_chains(market.warehouse, [BTC])[BTC][: len(chains[BTC])] == chains[BTC]


def test_the_asset_tells_what_it_added(market: Workspace) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([regimes], resources={"workspace": market}, instance=instance)
        metadata = done.asset_materializations_for_node("risk__regimes")[0].metadata
    stored = market.warehouse.rows(f"select count(*) as n, count(distinct run_id) as runs from {RISK_REGIMES}")[0]
    assert metadata["dagster/row_count"].value == stored["n"] > 0
    assert stored["runs"] == 1
    newest = str(metadata["newest"].value).splitlines()
    assert newest[0] == "series | method | as_of | regime | trend | status | why | version"
    assert len(newest) == 2 + 3 * 2


def test_a_label_names_parameters_that_are_stored(market: Workspace) -> None:
    _run(market)
    coin = _stored(market, BTC)
    chains = known_chains(market.warehouse, [BTC])[BTC]
    assert set(coin.loc[coin["label"].notna(), "model_version"]) <= {chain.version for chain in chains}
    assert len(chains) == len(range(365, DAYS, 56))
    row = coin[coin["label"].notna()].iloc[-1]
    history = market.warehouse.read(
        "select rv from features.volatility where series = 'BTC' and is_origin order by as_of"
    )
    by_hand = chains[-1].chain.filtered(np.log(history["rv"].to_numpy()))[-1]
    assert row[["p_calm", "p_normal", "p_stressed"]].tolist() == by_hand.tolist()
    assert newest_labelled(market.warehouse, [BTC, "ETH"]) == {BTC: MIDNIGHT}


def test_labels_for_the_evaluation_are_those_first_said(market: Workspace) -> None:
    _run(market)
    got = labels(market.warehouse, [BTC], Method.HMM)
    want = _stored(market, BTC)
    want = want[want["label"].notna()]
    assert got["label"].tolist() == want["label"].tolist()
    assert not got.duplicated(["series", "as_of"]).any()
    assert len(labels(market.warehouse, [BTC], Method.RULE)) != 0


def test_the_checks_look_at_what_is_there(market: Workspace) -> None:
    context = dg.build_asset_check_context()
    missing = labelled(context, market)
    assert isinstance(missing, dg.AssetCheckResult)
    assert not missing.passed
    assert "never labelled" in str(missing.metadata["offenders"].value)
    _run(market)
    assert filtered(context, market).passed
    assert str(labelled(context, market).metadata["series"].value) in ("0", "1")
    odd = {
        "series": BTC, "as_of": MIDNIGHT + DAY, "method": "hmm", "status": "ok", "reasons": [], "label": "calm",
        "p_calm": 0.5, "p_normal": 0.2, "p_stressed": 0.2, "model_version": "hmm1-20990101-00000000",
        "data_mode": "simulated",
    }  # fmt: skip
    market.warehouse.append_table(RISK_REGIMES, [odd])
    found = filtered(context, market)
    assert isinstance(found, dg.AssetCheckResult)
    assert (found.passed, found.metadata["rows"].value) == (False, 1)


@pytest.mark.parametrize("table", [RISK_REGIMES, RISK_REGIME_CHAINS])
def test_what_was_said_cannot_be_changed(market: Workspace, table: str) -> None:
    _run(market)
    for statement in (f"delete from {table}", f"update {table} set run_id = 'x'"):
        with pytest.raises(DBAPIError, match="append-only"), market.warehouse.engine.begin() as connection:
            connection.execute(text(statement))


@pytest.mark.parametrize(
    ("status", "label"), [("ok", None), ("insufficient_data", "calm"), ("degraded", None), ("managed", "stressed")]
)
def test_a_label_and_its_status_belong_together(market: Workspace, status: str, label: str | None) -> None:
    with pytest.raises(DBAPIError, match="check constraint"), market.warehouse.engine.begin() as connection:
        connection.execute(
            text(
                f"insert into {RISK_REGIMES} (series, as_of, method, status, reasons, label, model_version, data_mode) "
                "values ('BTC', now(), 'hmm', :status, '{}', :label, 'v', 'simulated')"
            ),
            {"status": status, "label": label},
        )


def test_every_column_says_what_it_means(market: Workspace) -> None:
    silent = market.warehouse.rows(
        "select c.relname, a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid "
        "where c.oid in ('risk.regimes'::regclass, 'risk.regime_chains'::regclass) and a.attnum > 0 "
        "and length(coalesce(col_description(c.oid, a.attnum), '')) < 8"
    )
    assert silent == []
    with market.warehouse.engine.connect() as connection:
        connection.execute(text("set role ballast_writer"))
        assert connection.execute(text(f"select has_table_privilege('{RISK_REGIMES}', 'insert')")).scalar_one()
