-- One row per job that ever finished: its last success, the failures since, and the words of the last one.
with

runs as (
    select *, max(finished_at) filter (where ok) over (partition by job) as last_success_at
    from {{ source('ops', 'job_runs') }}
)

select
    job,
    max(last_success_at) as last_success_at,
    (array_agg(market_time order by finished_at desc) filter (where ok))[1] as last_success_market_time,
    max(finished_at) as last_finished_at,
    (count(*) filter (where not ok and (last_success_at is null or finished_at > last_success_at)))::int
        as consecutive_failures,
    (array_agg(error_text order by finished_at desc)
        filter (where not ok and (last_success_at is null or finished_at > last_success_at)))[1] as last_error,
    count(*)::bigint as runs_total
from runs
group by job
