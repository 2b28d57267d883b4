-- One row per (series, interval) whose calendar is explicit: slots expected, seen, missing and held since its first row.
{{ config(materialized='kept_view') }}

select
    series,
    '1h' as interval,
    min(ts) as first_ts,
    max(ts) as last_ts,
    count(*) as slots_expected,
    count(*) filter (where is_observed) as slots_observed,
    count(*) filter (where not is_observed and not is_held) as slots_missing,
    count(*) filter (where is_held) as slots_held,
    count(*) filter (where not is_observed) / count(*)::float8 as share_missing
from {{ ref('bar_returns') }}
group by series

union all

select
    series,
    '1d',
    min(day)::timestamp at time zone 'UTC',
    max(day)::timestamp at time zone 'UTC',
    (max(fx_day_no) - min(fx_day_no) + 1)::bigint,
    count(*) filter (where is_observed),
    greatest(0, (max(fx_day_no) - min(fx_day_no) + 1) - count(distinct fx_day_no))::bigint,
    count(*) filter (where is_held),
    greatest(0, 1 - count(distinct fx_day_no) filter (where is_observed)
        / (max(fx_day_no) - min(fx_day_no) + 1)::float8)
from {{ ref('rate_days') }}
group by series
