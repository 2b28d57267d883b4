-- One row per hourly slot of a candle series, from its first bar to its last: the explicit calendar of coins.
-- A slot without a believed bar is there, says so, and carries the last known close; a return across it is missing.
{{ config(
    materialized='incremental',
    unique_key=['series', 'ts'],
    indexes=[
        {'columns': ['series', 'ts'], 'unique': true},
        {'columns': ['ts']},
        {'columns': ['built_at']},
    ],
    post_hook="{{ analyze_once() }}",
) }}
{%- set since = last_build(this) -%}
{%- set hourly = "known.dataset = 'candles' and known.interval = '1h'" -%}
{%- set changed = changed_series(
    changed_slots_query('candles', this, since, hourly, "rows.interval = '1h'", 'rows.ts', 'ts')
) if since else [] %}

with

changed as (
{%- if is_incremental() %}
    {{ changed_values(changed) }}
{%- else %}
    select known.id as series, '-infinity'::timestamptz as changed_from
    from {{ source('ops', 'series') }} as known
    where {{ hourly }}
{%- endif %}
),

bars as (
    select
        slots.series,
        slots.ts,
        slots.is_held,
        slots.is_flagged,
        slots.available_at,
        slots.seen_seq,
        slots.judged_at,
        slots.is_believed and slots.close > 0 as is_observed,
        case when slots.is_believed and slots.close > 0 then slots.open end as open,
        case when slots.is_believed and slots.close > 0 then slots.high end as high,
        case when slots.is_believed and slots.close > 0 then slots.low end as low,
        case when slots.is_believed and slots.close > 0 then slots.close end as close,
        case when slots.is_believed and slots.close > 0 then slots.volume_base end as volume_base,
        case when slots.is_believed and slots.close > 0 then slots.volume_quote end as volume_quote
    from {{ ref('candle_slots') }} as slots
    inner join changed on changed.series = slots.series and slots.ts >= changed.changed_from
    where slots.interval = '1h'
    {%- if is_incremental() %}
        and {{ changed_bounds(changed, of='slots') }}
    {%- endif %}
),

-- The stored slot before the rebuilt stretch: what the first rebuilt slot is compared with.
before as (
{%- if is_incremental() %}
    select changed.series, changed.changed_from, stored.ts, stored.close, stored.is_observed, first_slot.first_ts
    from changed
    left join lateral (
        select ts, close, is_observed
        from {{ this }} as own
        where own.series = changed.series and own.ts < changed.changed_from
        order by own.ts desc
        limit 1
    ) as stored on true
    left join lateral (
        select min(own.ts) as first_ts from {{ this }} as own where own.series = changed.series
    ) as first_slot on true
{%- else %}
    select
        series,
        changed_from,
        null::timestamptz as ts,
        null::float8 as close,
        false as is_observed,
        null::timestamptz as first_ts
    from changed
{%- endif %}
),

spans as (
    select
        before.series,
        least(before.first_ts, min(bars.ts)) as first_ts,
        least(before.ts + interval '1 hour', min(bars.ts)) as from_ts,
        max(bars.ts) as to_ts
    from before
    inner join bars on bars.series = before.series
    group by before.series, before.ts, before.first_ts
),

slots as (
    select series, first_ts, generate_series(from_ts, to_ts, interval '1 hour') as ts
    from spans
),

timeline as (
    select
        slots.series,
        slots.ts,
        slots.first_ts,
        coalesce(bars.is_observed, false) as is_observed,
        coalesce(bars.is_held, false) as is_held,
        coalesce(bars.is_flagged, false) as is_flagged,
        bars.open,
        bars.high,
        bars.low,
        bars.close as observed_close,
        bars.volume_base,
        bars.volume_quote,
        bars.available_at,
        bars.seen_seq,
        bars.judged_at,
        true as is_new
    from slots
    left join bars on bars.series = slots.series and bars.ts = slots.ts

    union all

    select
        before.series, before.ts, spans.first_ts, before.is_observed, false, false, null, null, null, before.close,
        null, null, null, null, null, false
    from before
    inner join spans on spans.series = before.series
    where before.ts is not null
),

numbered as (
    select
        *,
        count(observed_close) over (partition by series order by ts) as print_no,
        lag(observed_close) over (partition by series order by ts) as previous_close,
        lag(is_observed) over (partition by series order by ts) as previous_is_observed
    from timeline
),

carried as (
    select *, first_value(observed_close) over (partition by series, print_no order by ts) as close
    from numbered
)

select
    series,
    ts,
    ((extract(epoch from ts - first_ts) / 3600)::int + 1) as slot_no,
    is_observed,
    is_held,
    is_flagged,
    open,
    high,
    low,
    close,
    case when is_observed and previous_is_observed then ln(observed_close) - ln(previous_close) end as r,
    volume_base,
    volume_quote,
    available_at,
    seen_seq,
    judged_at,
    now() as built_at
from carried
where is_new
