"""A small market in a database as backtests read it: 500 days of two coins and a rate, and forecasts of one vault."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D

import numpy as np
from sqlalchemy import Engine, text

from models.backtest.plain import as_plain
from models.contracts.vault import PolicyName, VaultAsset, VaultConfig, VaultLimits

START = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = 500
FIRST_SCORE = 60  # day of the first forecast
LAST_DAY = date(2025, 5, 14)  # START + 499 days: closes at END
END = START + timedelta(days=DAYS)
VAULT = VaultConfig(
    "mixed",
    "devnet",
    None,
    (
        VaultAsset("USDC", None, D("0.3"), stable=True),
        VaultAsset("cNGN", "USDNGN:official", D("0.2"), invert=True),
        VaultAsset("BTC", "BTC", D("0.3")),
        VaultAsset("ETH", "ETH", D("0.2")),
    ),
    VaultLimits(),
    PolicyName.ON_OFF,
)

_FEATURES = (
    "create table if not exists features.bar_returns (series text, ts timestamptz, is_observed boolean, close float8)",
    "create table if not exists features.rate_volatility (series text, as_of timestamptz, n_obs int, close float8)",
    "grant select on features.bar_returns, features.rate_volatility to ballast_reader",
)
_CATALOGUE = """
    insert into ops.series (id, dataset, interval, kind, calendar, publication_lag_s, max_age_s, base, quote, source,
        scored, data_mode) values
        ('BTC', 'candles', '1h', 'candles', 'always', 3600, 7200, 'BTC', 'USDT', 's', true, 'simulated'),
        ('ETH', 'candles', '1h', 'candles', 'always', 3600, 7200, 'ETH', 'USDT', 's', true, 'simulated'),
        ('USDNGN:official', 'fx_rates', '1d', 'ranges', 'fx_week', 86400, 432000, 'USD', 'NGN', 's', true, 'simulated')
    on conflict do nothing
"""
_BARS = """
    insert into features.bar_returns (series, ts, is_observed, close)
    select :series, to_timestamp(:start) + n * interval '1 hour', true, close
    from unnest(cast(:closes as float8[])) with ordinality as t (close, n1), lateral (select n1 - 1 as n) as m
"""
_RATES = """
    insert into features.rate_volatility (series, as_of, n_obs, close)
    select 'USDNGN:official', day, 1, 1500 + extract(epoch from day - to_timestamp(:start)) / 864000
    from generate_series(to_timestamp(:start), to_timestamp(:start) + make_interval(days => :days), '1 day') as day
    where extract(isodow from day) < 6
"""
_FORECASTS = """
    insert into ml.walk_forward (evaluation_id, model, series, horizon_days, origin, issued_at, rv_forecast, p_spike,
        score, var99, es99)
    values (:evaluation, 'champion', 'vault:mixed', 1, :origin, :issued_at, :rv, 0.1, :score, 0.03, 0.04)
"""


def write_market(engine: Engine, days: int = DAYS, first_score: int = FIRST_SCORE, evaluation: str = "e1") -> None:
    """Everything a backtest of vault `mixed` reads. The market's clock stands at END."""
    rng, start = np.random.default_rng(3), START.timestamp()
    with engine.begin() as connection:
        for statement in _FEATURES:
            connection.execute(text(statement))
        connection.execute(
            text(
                "insert into ops.market (name, data_mode, seed, clock_anchor) "
                "values ('simulated', 'simulated', 7, :at) "
                "on conflict (singleton) do update set clock_anchor = excluded.clock_anchor"
            ),
            {"at": END},
        )  # fmt: skip
        connection.execute(text(_CATALOGUE))
        connection.execute(
            text("insert into ops.vaults (id, config, is_kept) values ('mixed', cast(:config as jsonb), true)"),
            {"config": json.dumps(as_plain(VAULT))},
        )
        for series in ("BTC", "ETH"):
            closes = (100 * np.exp(np.cumsum(rng.normal(0, 0.006, days * 24)))).tolist()
            connection.execute(text(_BARS), {"series": series, "start": start, "closes": closes})
        connection.execute(text(_RATES), {"start": start, "days": days})
        connection.execute(
            text(_FORECASTS),
            [
                {
                    "evaluation": evaluation, "origin": (START + timedelta(days=day - 1)).date(),
                    "issued_at": START + timedelta(days=day), "rv": float(rng.uniform(1e-4, 1e-3)),
                    "score": float(rng.uniform(20, 95)),
                }
                for day in range(first_score, days + 1)
            ],
        )  # fmt: skip


SMALL = {"vault_id": "mixed", "placebo_shifts": 5, "bootstrap_repetitions": 100}
SMALL_SIMULATION = {"vault_id": "mixed", "paths": 200, "days": 10}
