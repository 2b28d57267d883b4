-- One row per (scope, method, regime): the newest correlation matrix. There is one a day, so all of them are few.
select distinct on (scope, method, regime)
    id,
    scope,
    method,
    regime,
    as_of,
    issued_at,
    valid_until,
    status,
    reasons,
    required,
    received,
    names,
    days,
    matrix,
    measured,
    low,
    high,
    common_days,
    missing_pairs,
    shrinkage,
    first_eigenvalue_share,
    change_30d_mean,
    change_30d_largest,
    change_30d_pair,
    data_mode
from {{ source('risk', 'correlation') }}
order by scope, method, regime, as_of desc, id desc
