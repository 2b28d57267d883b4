-- One row per (series, day) on which a daily rate was published, Monday to Friday. A held print keeps its row and
-- carries the last good rate; its range is judged later, by the range guard.
{{ config(
    materialized='incremental',
    unique_key=['series', 'day'],
    indexes=[
        {'columns': ['series', 'day'], 'unique': true},
        {'columns': ['series', 'obs_no']},
        {'columns': ['day']},
        {'columns': ['built_at']},
    ],
    post_hook="{{ analyze_once() }}",
) }}
{%- set since = last_build(this) -%}
{%- set daily = "known.dataset = 'fx_rates' and known.interval = '1d' and known.kind in ('ranges', 'fixings')" -%}
{%- set changed = changed_series(changed_slots_query(
    'fx_rates', this, since, daily,
    "rows.interval = '1d' and extract(isodow from rows.ts at time zone 'UTC') < 6",
    "(rows.ts at time zone 'UTC')::date", 'day'
)) if since else [] %}

with

changed as (
{%- if is_incremental() %}
    {{ changed_values(changed, type='date') }}
{%- else %}
    select known.id as series, '-infinity'::date as changed_from
    from {{ source('ops', 'series') }} as known
    where {{ daily }}
{%- endif %}
),

kinds as (
    select known.id as series, known.kind from {{ source('ops', 'series') }} as known where {{ daily }}
),

prints as (
    select slots.*, kinds.kind as series_kind, (slots.ts at time zone 'UTC')::date as day
    from {{ ref('fx_rate_slots') }} as slots
    inner join kinds on kinds.series = slots.series
    inner join changed
        on changed.series = slots.series and (slots.ts at time zone 'UTC')::date >= changed.changed_from
    where slots.interval = '1d'
        and extract(isodow from slots.ts at time zone 'UTC') < 6
    {%- if is_incremental() %}
        and {{ changed_bounds(changed, of='slots', margin='1 day') }}
    {%- endif %}
),

-- The last print of a day counts. A print that is no rate, or a bar with a part missing, is no observation.
published as (
    select distinct on (series, day)
        *,
        max(seen_seq) over (partition by series, day) as seen_seq_day,
        max(judged_at) over (partition by series, day) as judged_at_day
    from prints
    where rate > 0 and (series_kind = 'fixings' or (open > 0 and high > 0 and low > 0))
    order by series, day, ts desc
),

before as (
{%- if is_incremental() %}
    select changed.series, stored.day, stored.close, stored.obs_no, stored.first_fx_day_no
    from changed
    inner join lateral (
        select day, close, obs_no, first_fx_day_no
        from {{ this }} as own
        where own.series = changed.series and own.day < changed.changed_from
        order by own.day desc
        limit 1
    ) as stored on true
{%- else %}
    select null::text as series, null::date as day, null::float8 as close, 0 as obs_no, 0 as first_fx_day_no where false
{%- endif %}
),

timeline as (
    select
        published.series,
        published.day,
        published.is_believed,
        published.is_held,
        published.is_flagged,
        case when published.is_believed then published.rate end as good_rate,
        published.rate as printed_rate,
        case when published.series_kind = 'ranges' then published.open end as open,
        case when published.series_kind = 'ranges' then published.high end as high,
        case when published.series_kind = 'ranges' then published.low end as low,
        published.available_at,
        published.seen_seq_day as seen_seq,
        published.judged_at_day as judged_at,
        calendar.fx_day_no,
        true as is_new
    from published
    inner join {{ ref('calendar') }} as calendar on calendar.day = published.day

    union all

    select
        series, day, true, false, false, close, null, null, null, null, null, null, null, first_fx_day_no, false
    from before
),

numbered as (
    select
        timeline.*,
        count(good_rate) over (partition by timeline.series order by timeline.day) as print_no,
        row_number() over (partition by timeline.series order by timeline.day)
            + coalesce(before.obs_no - 1, 0) as obs_no,
        first_value(fx_day_no) over (partition by timeline.series order by timeline.day) as first_fx_day_no
    from timeline
    left join before on before.series = timeline.series
),

carried as (
    select *, first_value(good_rate) over (partition by series, print_no order by day) as close
    from numbered
),

compared as (
    select *, ln(close) - ln(lag(close) over (partition by series order by day)) as ret
    from carried
)

select
    series,
    day,
    obs_no::int as obs_no,
    fx_day_no,
    first_fx_day_no,
    is_believed as is_observed,
    is_held,
    is_flagged,
    printed_rate,
    open,
    high,
    low,
    close,
    ret,
    available_at,
    seen_seq,
    judged_at,
    now() as built_at
from compared
where is_new
