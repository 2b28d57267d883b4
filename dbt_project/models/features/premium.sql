-- One row per (series, ts): a street rate beside the official rate that was known at that moment, with the state of the
-- source. A capped price is censored, not calm; a delisted source says nothing any more: both are marked, not hidden.
{{ config(
    materialized='incremental',
    unique_key=['series', 'ts'],
    indexes=[
        {'columns': ['series', 'ts'], 'unique': true},
        {'columns': ['quote', 'available_at']},
        {'columns': ['ts']},
        {'columns': ['built_at']},
    ],
    post_hook="{{ analyze_once() }}",
) }}
{%- set street = "known.dataset = 'fx_rates' and known.kind = 'street'" -%}
{%- set since = last_build(this) -%}
{%- set since_official = last_build(this, overlap=false) -%}
{#- Street rows that changed, and those that stand on an official rate that did. -#}
{%- set changed = changed_series(
    "with street_rows as ("
    ~ changed_slots_query('fx_rates', this, since, street, 'true', 'rows.ts', 'ts')
    ~ "), official_rows as ("
    ~ "select known.id, min(days.available_at - interval '1 day')::text from " ~ ref('rate_days') ~ " as days"
    ~ " inner join " ~ source('ops', 'series') ~ " as official on official.id = days.series and official.interval = '1d' and official.dataset = 'fx_rates'"
    ~ " inner join " ~ source('ops', 'series') ~ " as known on known.quote = official.quote and " ~ street
    ~ " where days.built_at > '" ~ since_official ~ "' and exists (select from " ~ this ~ " as own where own.series = known.id)"
    ~ " group by known.id) select series, min(changed_from::timestamptz)::text from (select * from street_rows"
    ~ " union all select * from official_rows) as both_rows (series, changed_from) group by series"
) if since else [] %}

with

street_series as (
    select
        known.id as series,
        known.interval,
        known.max_age_s,
        -- Dollar tokens are compared with the official dollar.
        case when known.base in ('USDT', 'USDC', 'BUSD', 'DAI') then 'USD' else known.base end as money
    from {{ source('ops', 'series') }} as known
    where {{ street }}
),

official_series as (
    select
        known.id as series, known.base, known.quote, known.source like '%official%' or known.id like '%official%'
            as is_official,
        make_interval(secs => known.max_age_s) as max_age
    from {{ source('ops', 'series') }} as known
    where known.dataset = 'fx_rates' and known.interval = '1d' and known.kind in ('ranges', 'fixings')
),

street as (
    select slots.*, street_series.money
    from {{ ref('fx_rate_slots') }} as slots
    inner join street_series on street_series.series = slots.series and street_series.interval = slots.interval
    {%- if is_incremental() %}
    inner join ({{ changed_values(changed) }}) as changed
        on changed.series = slots.series and slots.ts >= changed.changed_from
    where {{ changed_bounds(changed, of='slots') }}
    {%- endif %}
)

select
    street.series,
    street.ts,
    street.base,
    street.quote,
    street.side,
    street.is_believed and street.rate > 0 as is_observed,
    case when street.is_believed and street.rate > 0 then street.rate end as street_rate,
    official.series as official_series,
    official.close as official_rate,
    official.day as official_day,
    case when street.is_believed and street.rate > 0 then ln(street.rate) - ln(official.close) end as premium,
    extract(epoch from street.available_at - official.available_at)::float8 / 3600 as official_age_h,
    coalesce(not official.is_fresh, true) as is_official_stale,
    street.source_regime,
    street.source_regime = 'capped' as is_capped,
    street.is_flagged,
    street.n_offers,
    street.depth_base,
    street.available_at,
    street.seen_seq,
    street.judged_at,
    now() as built_at
from street
-- Several official windows may exist: a fresh one named official first, then the newest, then by name.
left join lateral (
    select
        newest.*,
        official_series.is_official,
        street.available_at - newest.available_at <= official_series.max_age as is_fresh
    from official_series
    inner join lateral (
        select days.series, days.day, days.close, days.available_at
        from {{ ref('rate_days') }} as days
        where days.series = official_series.series
            and days.day <= (street.available_at at time zone 'UTC')::date
            and days.available_at <= street.available_at
        order by days.day desc
        limit 1
    ) as newest on true
    where official_series.base = street.money and official_series.quote = street.quote
    order by is_fresh desc, official_series.is_official desc, newest.day desc, newest.series
    limit 1
) as official on true
