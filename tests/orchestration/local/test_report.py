"""Reports on a small warehouse filled by hand: numbers in the right cells, 120 columns, nothing invented."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import Engine, text

from orchestration.local import quality_report, report
from orchestration.settings import load_settings

WIDTH = 120

MARKET = (
    "insert into ops.market (name, data_mode, seed, clock_anchor) values ('simulated', 'simulated', 7, '2026-01-01')"
)
SERIES = """
insert into ops.series (id, dataset, interval, kind, calendar, publication_lag_s, max_age_s, base, quote, source,
    scored, data_mode)
select id, dataset, interval, kind, 'always', 0, 7200, 'A', 'B', 'x', true, 'simulated' from (values
    ('BTC', 'candles', '1h', 'candles'), ('USDNGN:official', 'fx_rates', '1d', 'fixings'),
    ('USDTNGN:binance_p2p:buy', 'fx_rates', 'irregular', 'street')) as v (id, dataset, interval, kind)
"""
CANDLES = """
insert into raw.candles (series, interval, ts, open, high, low, close, source, provider, data_mode, available_at,
    digest)
select 'BTC', '1h', '2025-12-31'::timestamptz + h * interval '1 hour', 1, 1, 1, 1, 's', 'p', 'simulated',
    '2026-01-01', gen_random_uuid()
from generate_series(0, 11) as h
"""
GAPS = """
insert into ops.gaps (dataset, series, interval, gap_start, gap_end, missing_slots, status, detected_at, checked_at,
    rows_added) values
    ('candles', 'BTC', '1h', '2025-12-31 03:00+00', '2025-12-31 07:00+00', 4, 'absent_at_source', now(), now(), 0),
    ('candles', 'BTC', '1h', '2025-12-31 09:00+00', '2025-12-31 10:00+00', 1, 'open', now(), now(), 0),
    ('candles', 'BTC', '1h', '2025-12-30 09:00+00', '2025-12-30 11:00+00', 2, 'fixed', now(), now(), 2)
"""
QUARANTINE = """
insert into raw.quarantine (dataset, series, interval, ts, action, reason, detail, value, data_mode, known_at,
    fingerprint)
select 'fx_rates', 'USDNGN:official', '1d', '2025-12-01'::timestamptz + n * interval '1 day', 'hold', 'wrong_scale',
    'a hundredth of its neighbours', (15 + n)::text, 'simulated', '2026-01-01'::timestamptz, gen_random_uuid()
from generate_series(0, 6) as n
union all
select 'fx_rates', 'USDNGN:official', null, null, 'reject', 'impossible_date', 'day 31 of November', '[1500]',
    'simulated', '2026-01-01'::timestamptz, gen_random_uuid()
"""
RELEASE = """
insert into raw.quarantine_releases (quarantine_id, reason, released_by, known_at)
select min(id), 'confirmed by a second source', 'rule', now() from raw.quarantine where action = 'hold'
"""
SCORES = """
insert into risk.scores (subject, subject_kind, horizon_days, as_of, issued_at, valid_until, status, reasons, score,
    p_spike, rv_forecast, sigma_ann, var99, es99, model_name, model_version, data_mode, share_imputed, share_stale,
    degraded, drivers)
select s, k, h, issued, issued, issued + interval '1 hour', status, why, score, p, 1e-4, 0.452, 0.0612, 0.08, 'har',
    '3', 'simulated', 0, 0, false, '[]'
from (values
    ('BTC', 'series', 1, '2026-01-01 00:00'::timestamptz, 'ok', array[]::text[], 12, 0.02),
    ('BTC', 'series', 1, '2026-01-01 01:00', 'ok', array[]::text[], 51, 0.11),
    ('BTC', 'series', 7, '2026-01-01 01:00', 'ok', array[]::text[], 55, 0.13),
    ('USDNGN:official', 'series', 1, '2026-01-01 01:00', 'managed', array['5 of the last 22 rates did not move'],
        null, null),
    ('vault:mixed', 'vault', 1, '2026-01-01 01:00', 'degraded', array['one leg is stale'], 83, 0.37)
) as v (s, k, h, issued, status, why, score, p)
"""
TARGET = """
insert into risk.target_allocations (vault_id, as_of, issued_at, valid_until, state, weights, score, model_version,
    policy_version, reasons, data_mode, share_imputed, degraded) values
    ('mixed', '2026-01-01', '2026-01-01', '2026-01-01 02:00', 'risk_off', '{"USDC": 0.75, "BTC": 0.25}', 83, '3', 'p1',
     array['score 83 is above 80'], 'simulated', 0, false)
"""
KEEPER = """
with decision as (
    insert into keeper.decisions (id, vault_id, policy_version, score_as_of, verdict, reasons, inputs, data_mode, phase,
        market_time) values (gen_random_uuid(), 'mixed', 'p1', '2026-01-01', 'rebalance', array['drift 0.50'], '{}',
        'simulated', 'devnet', '2026-01-01') returning id
), intent as (
    insert into keeper.intents (id, decision_id, vault_id, source_account, action, plan, plan_hash, state, not_after)
    select gen_random_uuid(), id, 'mixed', 'G', 'rebalance', '{}', 'h', 'confirmed', now() from decision returning id
)
insert into keeper.attempts (intent_id, n, sequence, unsigned_xdr, tx_hash, max_time, fee_bid, state, ledger)
select id, 1, 1, 'x', 'feed01', 0, 100, 'confirmed', 1234 from intent
"""
EVERYTHING = (MARKET, SERIES, CANDLES, GAPS, QUARANTINE, RELEASE, SCORES, TARGET, KEEPER)


def fill(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def shown(engine: Engine, tmp_path: Path) -> str:
    out = io.StringIO()
    settings = load_settings({"BALLAST_STATE": str(tmp_path)})
    report.render(settings, engine, Console(file=out, width=WIDTH, color_system=None))
    return out.getvalue()


def cells(page: str, start: str) -> list[str]:
    line = next(line for line in page.splitlines() if line.strip().startswith(start))
    return line.split()


def test_final_table(engine: Engine, tmp_path: Path) -> None:
    fill(engine, *EVERYTHING)
    page = shown(engine, tmp_path)
    assert "market simulated, clock 2026-01-01 00:00 UTC - every number below rests on simulated data" in page
    assert cells(page, "BTC")[:9] == ["BTC", "1h", "12", "2025-12-31", "2025-12-31", "2", "5", "1", "-"]
    data, scores = page.split("Scores")
    assert cells(data, "USDNGN:official") == ["USDNGN:official", "1d", *"---", *"---", "7", "-", "1", "-"]
    assert "coins, 1 / 7 days" in scores
    assert cells(scores, "BTC") == ["BTC", "51", "/", "55", "0.11", "/", "0.13", "45.2", "6.12", "2026-01-01", "ok"]
    assert cells(scores, "USDNGN:official")[:3] == ["USDNGN:official", "-", "-"]
    assert "managed: 5 of the last 22 rates did not…" in scores
    assert "vault mixed: score 83, risk off" in page
    assert "target  USDC 75.0%, BTC 25.0%" in page
    assert "keeper  rebalance (devnet): drift 0.50" in page
    assert "chain   confirmed, ledger 1,234, transaction feed01" in page
    assert "http://127.0.0.1:3000" in page


def test_sixty_series_stay_readable(engine: Engine, tmp_path: Path) -> None:
    fill(engine, MARKET, SERIES, SCORES)
    fill(
        engine,
        """insert into ops.series select 'USD' || chr(65 + n % 26) || chr(65 + n / 26) || 'X:frankfurter_reference',
        dataset, interval, kind, calendar, publication_lag_s, max_age_s, base, quote, source, scored, data_mode
        from ops.series, generate_series(0, 69) as n where id = 'USDNGN:official'""",
        """insert into risk.scores (subject, subject_kind, horizon_days, as_of, issued_at, valid_until, status, reasons,
        model_name, model_version, data_mode, share_imputed, share_stale, degraded, drivers)
        select id, 'series', h, '2026-01-01', '2026-01-01', '2026-01-01', 'insufficient_data',
            array['750 observations are needed, 12 are there; enough from 2028-11-01 at the earliest'],
            'ballast-fixings-gradient-boosting', '12', 'simulated', 0, 0, false, '[]'
        from ops.series, (values (1), (5)) as h (h) where id like '%reference'""",
    )
    lines = shown(engine, tmp_path).splitlines()
    tables = [line for line in lines if "frankfurter" in line]
    assert len(tables) == 140  # one row in each table: nothing wrapped
    assert max(len(line) for line in lines if "http" not in line and str(tmp_path) not in line) <= WIDTH


def test_empty_warehouse_says_so(engine: Engine, tmp_path: Path) -> None:
    page = shown(engine, tmp_path)
    assert "nothing has been played yet" in page
    assert "Scores" not in page


def render(table: object) -> str:
    out = io.StringIO()
    Console(file=out, width=WIDTH, color_system=None).print(table)
    return out.getvalue()


def test_gap_reports(engine: Engine) -> None:
    fill(engine, GAPS)
    with engine.connect() as connection:
        summary = render(quality_report.gap_table(connection, None))
        each = render(quality_report.each_gap_table(connection, "BTC"))
        other = render(quality_report.gap_table(connection, "ETH"))
    assert cells(summary, "BTC") == [
        "BTC", "1h", "2", "5", "1", "1", "1", "2", "4", "2025-12-30", "2025-12-31",
    ]  # fmt: skip
    assert "BTC 1h 2025-12-31 03:00 2025-12-31 07:00 4 - absent at source" in " ".join(each.split())
    assert "BTC" not in other


@pytest.mark.parametrize(
    ("series", "reason", "rows"), [(None, None, 8), ("USDNGN:official", "wrong_scale", 7), ("X", None, 0)]
)
def test_quality_reports(engine: Engine, series: str | None, reason: str | None, rows: int) -> None:
    fill(engine, QUARANTINE, RELEASE)
    with engine.connect() as connection:
        summary = render(quality_report.quality_table(connection, series, reason))
        each = render(quality_report.each_row_table(connection, series, reason))
    assert sum("2025-12" in line or "impossible_date" in line for line in each.splitlines()) == rows
    if rows == 8:
        assert cells(summary, "rejected")[:6] == ["rejected", "fx_rates", "impossible_date", "1", "1", "-"]
        assert cells(summary, "held")[:6] == ["held", "fx_rates", "wrong_scale", "7", "1", "1"]
        assert summary.count("USDNGN:official 2025-12") == quality_report.FIRST_OFFENDERS
        assert "released: confirmed by a second source" in " ".join(each.split())


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (None, "-"),
        (0, "0 min"),
        (5399, "89 min"),
        (5400, "1 h"),
        (172_799, "47 h"),
        (172_800, "2 d"),
        (10**9, "11,574 d"),
    ],
)
def test_ages(seconds: int | None, told: str) -> None:
    assert report.age(seconds) == told
