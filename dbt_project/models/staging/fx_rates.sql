-- One row per (series, interval, ts): the newest believed revision of a rate; held and rejected rows are left out.
select
    series,
    interval,
    ts,
    base,
    quote,
    kind,
    side,
    rate,
    open,
    high,
    low,
    bid,
    ask,
    n_offers,
    depth_base,
    vwap,
    mode_price,
    hhi,
    source_regime,
    source,
    provider,
    data_mode,
    available_at,
    is_flagged,
    quarantine_reasons
from {{ ref('fx_rate_slots') }}
where is_believed
