-- One row per (series, ts): funding of a perpetual, scaled to eight hours so that exchanges compare.
{{ config(
    materialized='incremental',
    unique_key=['series', 'ts'],
    indexes=[
        {'columns': ['series', 'ts'], 'unique': true},
        {'columns': ['base', 'available_at']},
        {'columns': ['ts']},
        {'columns': ['built_at']},
    ],
    post_hook="{{ analyze_once() }}",
) }}
{%- set since = last_build(this) -%}
{%- set changed = changed_series(
    changed_slots_query('funding', this, since, "known.dataset = 'funding'", 'true', 'rows.ts', 'ts')
) if since else [] %}

select distinct on (slots.series, slots.ts)
    slots.series,
    slots.ts,
    known.base,
    slots.exchange,
    case when slots.is_believed
        then slots.funding_rate * 8 / coalesce(substring(slots.interval from '^(\d+)h$')::float8, 8)
    end as rate_8h,
    slots.available_at,
    slots.seen_seq,
    slots.judged_at,
    now() as built_at
from {{ ref('funding_slots') }} as slots
inner join {{ source('ops', 'series') }} as known
    on known.id = slots.series and known.interval = slots.interval and known.dataset = 'funding'
{%- if is_incremental() %}
inner join ({{ changed_values(changed) }}) as changed
    on changed.series = slots.series and slots.ts >= changed.changed_from
where {{ changed_bounds(changed, of='slots') }}
{%- endif %}
order by slots.series, slots.ts, slots.seen_seq desc
