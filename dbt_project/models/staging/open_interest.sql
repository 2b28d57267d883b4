-- One row per (series, interval, ts): the newest believed revision of an open interest; held and rejected rows are left out.
with

revisions as (
    select raw_rows.*, coalesce(quarantine.is_flagged, false) as is_flagged
    from {{ source('raw', 'open_interest') }} as raw_rows
    left join {{ ref('quarantine_state') }} as quarantine
        on quarantine.dataset = 'open_interest'
        and quarantine.series = raw_rows.series
        and quarantine.interval = raw_rows.interval
        and quarantine.ts = raw_rows.ts
    where not coalesce(quarantine.whole_slot_out or strpos(quarantine.digests_out, raw_rows.digest::text) > 0, false)
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
from revisions
order by series, interval, ts, available_at desc, seq desc
