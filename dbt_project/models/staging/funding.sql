-- One row per (series, interval, ts): the newest believed revision of a funding rate; held and rejected rows are left out.
select
    series,
    interval,
    ts,
    exchange,
    funding_rate,
    source,
    provider,
    data_mode,
    available_at,
    is_flagged,
    quarantine_reasons
from {{ ref('funding_slots') }}
where is_believed
