-- One row per vault: the newest of its daily stress tests, with the run that it is. A test is written down when its run is
-- done, so that there is always a result.
with newest as (
    select distinct on (vault_id) *
    from {{ source('risk', 'stress') }}
    order by vault_id, as_of desc, id desc
)

select
    newest.vault_id,
    newest.as_of,
    newest.issued_at,
    newest.valid_until,
    newest.run,
    runs.seed,
    runs.inputs,
    results.summary,
    newest.data_mode
from newest
inner join {{ source('risk', 'runs') }} as runs on newest.run = runs.id
inner join {{ source('risk', 'run_results') }} as results on newest.run = results.run
