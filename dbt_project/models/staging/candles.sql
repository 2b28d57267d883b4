-- One row per (series, interval, ts): the newest believed revision of a bar; held and rejected rows are left out.
select
    series,
    interval,
    ts,
    open,
    high,
    low,
    close,
    volume_base,
    volume_quote,
    trades,
    source,
    provider,
    data_mode,
    available_at,
    is_flagged,
    quarantine_reasons
from {{ ref('candle_slots') }}
where is_believed
