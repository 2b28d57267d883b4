-- A row returned is a series of hourly bars with a bar off the hour: the hourly calendar could not place it.
select series, count(*) as bars, min(ts) as first_ts
from {{ source('raw', 'candles') }}
where interval = '1h'
    and ts <> date_trunc('hour', ts, 'UTC')
    and recorded_at >= (select max(built_at) from {{ ref('bar_returns') }}) - interval '{{ var("test_window_days") }} days'
group by series
