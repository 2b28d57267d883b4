-- One row per vault: the newest target allocation.
select distinct on (vault_id)
    id,
    vault_id,
    as_of,
    issued_at,
    valid_until,
    state,
    weights,
    score,
    score_id,
    model_version,
    policy_version,
    reasons,
    data_mode,
    share_imputed,
    degraded,
    run_id,
    recorded_at
from {{ source('risk', 'target_allocations') }}
order by vault_id, as_of desc, id desc
