-- One row per (subject, horizon, method): the newest value at risk.
with recursive

-- From one key to the next by the index, as in risk_current.
asked as (
    (
        select subject, horizon_days, method
        from {{ source('risk', 'var') }}
        order by subject, horizon_days, method
        limit 1
    )

    union all

    select following.subject, following.horizon_days, following.method
    from asked
    cross join lateral (
        select past.subject, past.horizon_days, past.method
        from {{ source('risk', 'var') }} as past
        where (past.subject, past.horizon_days, past.method) > (asked.subject, asked.horizon_days, asked.method)
        order by past.subject, past.horizon_days, past.method
        limit 1
    ) as following
)

select
    latest.id,
    latest.score_id,
    latest.subject,
    latest.horizon_days,
    latest.method,
    latest.as_of,
    latest.issued_at,
    latest.valid_until,
    latest.status,
    latest.reasons,
    latest.required,
    latest.received,
    latest.sufficient_on,
    latest.var95_log,
    latest.es95_log,
    latest.var99_log,
    latest.es99_log,
    latest.sample_days,
    latest.tested_windows,
    latest.exceeded95,
    latest.exceeded99,
    latest.data_mode
from asked
cross join lateral (
    select *
    from {{ source('risk', 'var') }} as past
    where past.subject = asked.subject
        and past.horizon_days = asked.horizon_days
        and past.method = asked.method
    order by past.id desc
    limit 1
) as latest
