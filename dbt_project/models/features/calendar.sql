-- One row per UTC day. FX week: Monday to Friday without 1 January and 25 December, the two days on which no market
-- quotes; national holidays differ by country, and a wrong entry here would hide a real gap.
{{ config(materialized='kept_table', tags=['deploy'], indexes=[{'columns': ['day'], 'unique': true}]) }}

with

days as (
    select generate_series('1970-01-01'::timestamp, '2049-12-31'::timestamp, interval '1 day')::date as day
),

marked as (
    select
        day,
        extract(isodow from day)::int as iso_dow,
        extract(isodow from day) < 6 and to_char(day, 'MM-DD') not in ('01-01', '12-25') as is_fx_day
    from days
)

select
    day,
    iso_dow,
    is_fx_day,
    (count(*) filter (where is_fx_day) over (order by day))::int as fx_day_no,
    min(day) filter (where is_fx_day) over (order by day rows between 1 following and 10 following) as next_fx_day,
    extract(month from day + 1) <> extract(month from day) as is_month_end,
    is_fx_day and extract(month from
        min(day) filter (where is_fx_day) over (order by day rows between 1 following and 10 following)
    ) <> extract(month from day) as is_fx_month_end
from marked
