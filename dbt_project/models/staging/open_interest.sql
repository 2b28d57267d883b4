-- One row per (series, interval, ts): the newest believed revision of an open interest; held and rejected rows are left out.
with judged as (
    {{ judged_revisions('open_interest') }}
)

select distinct on (series, interval, ts)
    series,
    interval,
    ts,
    exchange,
    oi_base::float8 as oi_base,
    oi_usd::float8 as oi_usd,
    source,
    provider,
    data_mode,
    available_at,
    is_flagged,
    seq
from judged
where not is_out
order by series, interval, ts, available_at desc, seq desc
