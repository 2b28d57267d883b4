"""Every table says what it means, and the data dictionary says what the tables say.

BALLAST_UPDATE_GOLDEN=1 writes the generated part of the page anew.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, text

from orchestration import data_dictionary
from tests.dbt.conftest import Build


@pytest.fixture(scope="module")
def built(market_engine: Engine, dbt: Build) -> Engine:
    """All that migrations and dbt make, without a row in it."""
    dbt("run")
    return market_engine


@pytest.fixture
def connection(built: Engine) -> Iterator[Connection]:
    with built.connect() as made:
        yield made
        made.rollback()


def test_every_table_and_column_is_described(connection: Connection) -> None:
    assert data_dictionary.undescribed(data_dictionary.read_tables(connection)) == []


def test_a_column_without_words_is_noticed(connection: Connection) -> None:
    connection.execute(text("alter table raw.candles add column mood text"))
    connection.execute(text("create table ops.moods (id int)"))
    found = data_dictionary.undescribed(data_dictionary.read_tables(connection))
    assert found == ["ops.moods", "ops.moods.id", "raw.candles.mood"]


def test_keys_types_and_nullability_are_those_of_the_catalogue(connection: Connection) -> None:
    tables = {f"{t.schema}.{t.name}": t for t in data_dictionary.read_tables(connection)}
    attempts = {c.name: c for c in tables["keeper.attempts"].columns}
    assert tables["keeper.attempts"].keys == (
        "Primary key: `intent_id`, `n`.",
        "Unique: `tx_hash`.",
        "`intent_id` refers to `keeper.intents`.",
    )
    assert (attempts["signed_xdr"].type, attempts["signed_xdr"].required) == ("text", False)
    assert (attempts["created_at"].type, attempts["created_at"].required) == ("timestamptz", True)
    assert tables["raw.candles"].keys == ("Unique: `series`, `interval`, `ts`, `digest`, `available_at`.",)
    assert tables["keeper.decisions"].keys[2].endswith("where `(verdict = 'rebalance'::text)`.")
    assert tables["features.volatility"].columns[0] == data_dictionary.Column(
        "series", "text", None, "Series id: a coin (`BTC`) or BASEQUOTE:source (`USDNGN:yahoo`)."
    )


def test_the_page_is_what_the_tables_say(connection: Connection) -> None:
    page = data_dictionary.render(connection)
    if os.environ.get("BALLAST_UPDATE_GOLDEN") == "1":
        data_dictionary.PAGE.write_text(page, encoding="utf-8")
    assert data_dictionary.PAGE.read_text(encoding="utf-8") == page
