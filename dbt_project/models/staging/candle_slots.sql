-- One row per slot (series, interval, ts) of candles: the newest believed revision, else the newest one of all.
-- `is_believed` false: every revision is held or rejected. `is_held`: the newest revision is.
with

revisions as (
    select
        raw_rows.*,
        quarantine.reasons,
        coalesce(quarantine.is_flagged, false) as is_flagged,
        quarantine.judged_at,
        coalesce(quarantine.whole_slot_out or strpos(quarantine.digests_out, raw_rows.digest::text) > 0, false) as is_out
    from {{ source('raw', 'candles') }} as raw_rows
    left join {{ ref('quarantine_state') }} as quarantine
        on quarantine.dataset = 'candles'
        and quarantine.series = raw_rows.series
        and quarantine.interval = raw_rows.interval
        and quarantine.ts = raw_rows.ts
),

ranked as (
    select
        *,
        first_value(is_out) over (slot order by available_at desc, seq desc) as is_held,
        max(seq) over slot as seen_seq
    from revisions
    window slot as (partition by series, interval, ts)
)

select distinct on (series, interval, ts)
    series,
    interval,
    ts,
    open::float8 as open,
    high::float8 as high,
    low::float8 as low,
    close::float8 as close,
    volume_base::float8 as volume_base,
    volume_quote::float8 as volume_quote,
    trades,
    source,
    provider,
    data_mode,
    available_at,
    not is_out as is_believed,
    is_held,
    is_flagged,
    reasons as quarantine_reasons,
    seen_seq,
    judged_at
from ranked
order by series, interval, ts, is_out, available_at desc, seq desc
