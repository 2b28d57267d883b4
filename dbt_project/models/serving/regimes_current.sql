-- One row per (series, method): the newest regime, as it was first said, and until when the next one is due.
with recursive

asked as (
    (
        select series, method
        from {{ source('risk', 'regimes') }}
        order by series, method
        limit 1
    )

    union all

    select following.series, following.method
    from asked
    cross join lateral (
        select past.series, past.method
        from {{ source('risk', 'regimes') }} as past
        where (past.series, past.method) > (asked.series, asked.method)
        order by past.series, past.method
        limit 1
    ) as following
),

-- A day more than a score may be old where a day closes each day; rates have their weekends in their age already.
allowed as (
    select id, max(max_age_s + case when kind = 'candles' then 86400 else 0 end) as age_s
    from {{ source('ops', 'series') }}
    where scored
    group by id
)

select
    latest.series as subject,
    latest.method,
    latest.as_of,
    latest.as_of + make_interval(secs => coalesce(allowed.age_s, 93600)) as valid_until,
    latest.status,
    latest.reasons,
    latest.label,
    latest.p_calm,
    latest.p_normal,
    latest.p_stressed,
    latest.trend,
    latest.trend_strength,
    latest.changepoint,
    latest.level_age as level_age_days,
    latest.required,
    latest.received,
    latest.model_version,
    latest.data_mode
from asked
cross join lateral (
    select *
    from {{ source('risk', 'regimes') }} as past
    where past.series = asked.series and past.method = asked.method
    order by past.as_of desc, past.recorded_at
    limit 1
) as latest
left join allowed on allowed.id = latest.series
