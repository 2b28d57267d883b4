-- One row per watched (dataset, series, interval): newest row, age at the last check, and its open gaps.
with

open_gaps as (
    select
        dataset,
        series,
        interval,
        count(*) filter (where status = 'open') as gaps_open,
        coalesce(sum(missing_slots) filter (where status = 'open'), 0) as missing_slots_open,
        count(*) filter (where status = 'absent_at_source') as gaps_absent_at_source,
        count(*) filter (where status = 'fixed') as gaps_fixed
    from {{ source('ops', 'gaps') }}
    group by dataset, series, interval
)

select
    freshness.dataset,
    freshness.series,
    freshness.interval,
    freshness.newest_ts,
    freshness.newest_available_at,
    freshness.age_s,
    freshness.max_age_s,
    freshness.stale,
    freshness.stalled_by,
    freshness.checked_at,
    coalesce(open_gaps.gaps_open, 0)::int as gaps_open,
    coalesce(open_gaps.missing_slots_open, 0)::bigint as missing_slots_open,
    coalesce(open_gaps.gaps_absent_at_source, 0)::int as gaps_absent_at_source,
    coalesce(open_gaps.gaps_fixed, 0)::int as gaps_fixed
from {{ source('ops', 'freshness') }} as freshness
left join open_gaps
    on open_gaps.dataset = freshness.dataset
    and open_gaps.series = freshness.series
    and open_gaps.interval = freshness.interval
