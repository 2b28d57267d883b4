-- One row per (subject, horizon): the newest score, the champion that now answers for its model, and the last score that
-- carried a number, so that a quarantined or stale subject still shows what was last known.
with recursive

-- From one (subject, horizon) to the next by the index: a page that is asked each second must not read all history.
asked as (
    (
        select subject, horizon_days
        from {{ source('risk', 'scores') }}
        order by subject, horizon_days
        limit 1
    )

    union all

    select following.subject, following.horizon_days
    from asked
    cross join lateral (
        select scores.subject, scores.horizon_days
        from {{ source('risk', 'scores') }} as scores
        where (scores.subject, scores.horizon_days) > (asked.subject, asked.horizon_days)
        order by scores.subject, scores.horizon_days
        limit 1
    ) as following
),

latest as (
    select newest.*
    from asked
    cross join lateral (
        select *
        from {{ source('risk', 'scores') }} as scores
        where scores.subject = asked.subject and scores.horizon_days = asked.horizon_days
        order by scores.issued_at desc, scores.id desc
        limit 1
    ) as newest
),

champions as (
    select distinct on (model_name) model_name, model_version, algorithm, promoted_at, action, reason
    from {{ source('ml', 'promotions') }}
    where action in ('promoted', 'rolled_back', 'fell_back')
    order by model_name, promoted_at desc, id desc
)

select
    latest.id,
    latest.subject,
    latest.subject_kind,
    latest.horizon_days,
    latest.as_of,
    latest.issued_at,
    latest.valid_until,
    latest.status,
    latest.reasons,
    latest.score,
    latest.p_spike,
    latest.rv_forecast,
    latest.sigma_ann,
    latest.var99,
    latest.es99,
    latest.rv_low,
    latest.rv_high,
    latest.confidence,
    latest.model_name,
    latest.model_version,
    latest.data_mode,
    latest.share_imputed,
    latest.share_stale,
    latest.degraded,
    latest.drivers,
    latest.run_id,
    latest.recorded_at,
    latest.rung,
    standby.since as standby_since,
    champions.model_version as champion_version,
    champions.algorithm as champion_algorithm,
    champions.promoted_at as champion_promoted_at,
    champions.action as champion_action,
    champions.reason as champion_reason,
    good.score as last_good_score,
    good.as_of as last_good_as_of,
    good.issued_at as last_good_issued_at,
    good.valid_until as last_good_valid_until
from latest
left join champions on champions.model_name = latest.model_name
left join lateral (
    select score, as_of, issued_at, valid_until
    from {{ source('risk', 'scores') }} as past
    where past.subject = latest.subject
        and past.horizon_days = latest.horizon_days
        and past.score is not null
    order by past.issued_at desc, past.id desc
    limit 1
) as good on true
-- Only while a baseline speaks, and not further back than a week of hours.
left join lateral (
    select min(past.issued_at) as since
    from (
        select rung, issued_at, bool_and(rung = 'baseline') over (order by issued_at desc, id desc) as unbroken
        from {{ source('risk', 'scores') }} as scores
        where latest.rung = 'baseline'
            and scores.subject = latest.subject
            and scores.horizon_days = latest.horizon_days
        order by issued_at desc, id desc
        limit 168
    ) as past
    where past.unbroken
) as standby on true
