-- One row: the market of this database and its clock (see models.contracts.clock for how the columns make a time).
select
    name,
    data_mode,
    seed,
    clock_anchor,
    wall_anchor,
    clock_speed,
    case
        when clock_anchor is null then clock_timestamp()
        when wall_anchor is null then clock_anchor
        else clock_anchor + greatest(clock_timestamp() - wall_anchor, interval '0') * coalesce(clock_speed, 1)
    end as market_time
from {{ source('ops', 'market') }}
