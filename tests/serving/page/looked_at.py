"""A played simulated market as the page meets it, written as the pipeline writes it: scores with a past, outcomes,
decisions of a keeper on a chain, a stress test, street rates with a capped stretch, a stale series and gaps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text

from models.contracts.vault import PolicyState
from tests.keeper.world import MARKET_NOW, a_row, a_vault, build
from tests.serving.conftest import add_score, set_clock
from tests.stored_market import SMALL_SIMULATION, write_market

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TIME = MARKET_NOW + 31 * HOUR
AS_OF = MARKET_NOW + 30 * HOUR
RECORD_DAYS = 700
NO_NUMBER = dict.fromkeys(
    ("score", "p_spike", "rv_forecast", "sigma_ann", "var99", "es99", "rv_low", "rv_high", "confidence")
)

SERIES = """
    insert into ops.series (id, dataset, interval, kind, calendar, publication_lag_s, max_age_s, base, quote, source,
        scored, data_mode) values
        ('USDTNGN:street', 'fx_rates', 'irregular', 'street', 'always', 0, 86400, 'USDT', 'NGN', 's', false,
         'simulated'),
        ('USDTNGN:p2p_desk', 'fx_rates', 'irregular', 'street', 'always', 0, 86400, 'USDT', 'NGN', 's', false,
         'simulated')
"""
PREMIUM_TABLE = (
    """create table if not exists features.premium (series text, ts timestamptz, base text, quote text,
        is_observed boolean, street_rate float8, official_series text, official_rate float8, official_day date,
        premium float8, official_age_h float8, is_official_stale boolean, source_regime text, is_capped boolean,
        is_flagged boolean, n_offers int, available_at timestamptz)""",
    "grant select on features.premium to ballast_reader",
)
# Street 5 % above the official 1500; capped between the 40th and 31st day back, no print on the tenth.
_PREMIUM = """
    insert into features.premium
    select 'USDTNGN:street', at, 'USDT', 'NGN', n <> 10, case when n <> 10 then 1575.0 end, 'USDNGN:official', 1500.0,
        (at at time zone 'UTC')::date, case when n <> 10 then ln(1.05) end, 12, false,
        case when n between 31 and 40 then 'capped' else 'free' end, n between 31 and 40, false, 20, at
    from generate_series(0, 200) as n, lateral (select cast(:newest as timestamptz) - n * interval '1 day' as at) as t
"""
_DELISTED = """
    insert into features.premium values ('USDTNGN:p2p_desk', '2024-03-09 20:00Z', 'USDT', 'NGN', true, 1098.0,
        'USDNGN:official', 1171.0, '2024-03-08', -0.064, 20, false, 'delisted', false, false, 1, '2024-03-09 20:00Z')
"""
_FRESHNESS = """
    insert into ops.freshness (dataset, series, interval, newest_ts, newest_available_at, age_s, max_age_s, stale,
        stalled_by, checked_at) values
        ('candles', 'BTC', '1h', :at, :at, 0, 7200, false, null, :at),
        ('fx_rates', 'USDNGN:official', '1d', :old, :old, 0, 432000, true, 'simulator', :at)
"""
GAPS = """
    insert into ops.gaps (dataset, series, interval, gap_start, gap_end, missing_slots, status, detected_at, checked_at)
    values ('candles', 'BTC', '1h', :at, cast(:at as timestamptz) + interval '3 hours', 3, 'open', :at, :at),
           ('candles', 'ETH', '1h', '2025-03-01Z', '2025-03-01 02:00Z', 2, 'absent_at_source', :at, :at)
"""
_JOBS = """
    insert into ops.job_runs (job, run_id, ok, market_time, started_at, finished_at)
    select job, job, true, :at, now(), now() from unnest(array['hourly_refresh', 'training', 'keeper']) as job
"""
_RECORD = """
    insert into ml.walk_forward (evaluation_id, model, series, horizon_days, origin, issued_at, rv_forecast, realised,
        p_spike, score) values ('seen-1', 'champion', 'BTC', 1, :origin, :issued_at, :rv, :realised, :p, :score)
"""
_TARGET = """
    insert into risk.target_allocations (vault_id, as_of, issued_at, valid_until, state, weights, score, model_version,
        policy_version, reasons, data_mode, share_imputed, degraded)
    values ('mixed', :as_of, :as_of, cast(:as_of as timestamptz) + interval '2 hours', 'risk_off',
        '{"USDC": "0.7", "BTC": "0.2", "XLM": "0.1"}', 95, '3', 'onoff-1', '{score_above_enter}', 'simulated', 0, false)
"""
_HELD = """
    insert into raw.vault_snapshots (series, interval, ts, ledger, tvl_usd, share_price, weights, source, provider,
        data_mode, available_at, digest)
    select 'vault:mixed', 'irregular', at, n, 1e6, 1.0, jsonb_build_object('USDC', text(0.4 + n / 20.0), 'BTC',
        text(0.6 - n / 20.0)), 'devnet', 'devnet', 'simulated', at, gen_random_uuid()
    from generate_series(1, 6) as n, lateral (select cast(:at as timestamptz) - (6 - n) * interval '5 hours' as at) as t
"""
_STRESS = """
    insert into risk.stress (vault_id, as_of, issued_at, valid_until, run, data_mode)
    values ('mixed', :as_of, :as_of, cast(:as_of as timestamptz) + interval '26 hours', :run, 'simulated')
"""


def outcomes(days: int = RECORD_DAYS) -> tuple[np.ndarray, np.ndarray]:
    """Variances that followed and probabilities that were said: every ninth day a storm, half of them foreseen."""
    n = np.arange(days)
    storm = n % 9 == 8
    realised = np.where(storm, 1.6e-3, 4e-4) * (1 + 1e-3 * np.sin(n))
    return realised, np.where(storm & (n % 2 == 0), 0.45, 0.06)


def write_record(engine: Engine, newest: datetime = AS_OF) -> None:
    """Walk-forward of BTC at one day, up to `newest`; the last outcome is open."""
    realised, probability = outcomes()
    close = newest.replace(hour=0)
    rows = []
    for n, (followed, p) in enumerate(zip(realised, probability, strict=True)):
        at = close - (RECORD_DAYS - 1 - n) * DAY
        odds = 9 * p / (1 - p)
        rows.append({
            "origin": (at - DAY).date(), "issued_at": at, "rv": 5e-4, "p": float(p),
            "score": float(100 * odds / (1 + odds)), "realised": float(followed) if n < RECORD_DAYS - 1 else None,
        })  # fmt: skip
    with engine.begin() as connection:
        connection.execute(text(_RECORD), rows)


def write_premium(engine: Engine, newest: datetime = AS_OF) -> None:
    with engine.begin() as connection:
        for statement in (*PREMIUM_TABLE, SERIES, _DELISTED):
            connection.execute(text(statement))
        connection.execute(text(_PREMIUM), {"newest": newest})


def write_scores(engine: Engine) -> None:
    """Two days of hourly scores of BTC; one each of the others, of which one is withheld and one has expired."""
    for back in range(48, -1, -1):
        at = AS_OF - back * HOUR
        add_score(engine, as_of=at, issued_at=at, valid_until=at + 2 * HOUR, score=55.0 + back / 8)
    fresh = {"as_of": AS_OF, "issued_at": AS_OF, "valid_until": AS_OF + 2 * HOUR}
    add_score(engine, **fresh, horizon_days=7, score=82.5, p_spike=0.34, var99=None, es99=None)
    add_score(engine, **fresh, subject="vault:mixed", subject_kind="vault", score=20.0, p_spike=0.027)
    add_score(engine, **(fresh | {"valid_until": AS_OF}), subject="ETH", score=40.0)
    add_score(engine, **fresh, subject="USDNGN:official", status="quarantined", reasons=["newest print is held"],
              drivers="[]", **NO_NUMBER)  # fmt: skip


def write_everything(engine: Engine, client: TestClient, folder: Path) -> None:
    write_market(engine)
    chain = build(engine, folder, vault=a_vault("mixed"))
    vault = chain.connection.config.vault
    chain.keeper().tick(a_row(vault), MARKET_NOW)
    chain.keeper().tick(a_row(vault), MARKET_NOW + HOUR)
    chain.keeper().tick(a_row(vault, PolicyState.RISK_OFF, 95.0, as_of=AS_OF), AS_OF)
    run = client.post("/v1/risk/simulate", json={**SMALL_SIMULATION, "shocks": {"gap": {}}}).json()
    write_premium(engine)
    write_record(engine)
    write_scores(engine)
    with engine.begin() as connection:
        connection.execute(text(_FRESHNESS), {"at": AS_OF, "old": datetime(2025, 12, 1, tzinfo=UTC)})
        connection.execute(text(GAPS), {"at": MARKET_NOW})
        connection.execute(text(_JOBS), {"at": AS_OF})
        connection.execute(text(_HELD), {"at": AS_OF})
        connection.execute(text(_TARGET), {"as_of": AS_OF})
        connection.execute(text(_STRESS), {"as_of": MARKET_NOW, "run": run["id"]})
    set_clock(engine, TIME)
