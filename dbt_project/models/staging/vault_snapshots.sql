-- One row per (series, interval, ts): the newest believed revision of a vault; held and rejected rows are left out.
with judged as (
    {{ judged_revisions('vault_snapshots') }}
)

select distinct on (series, interval, ts)
    series,
    interval,
    ts,
    ledger,
    tvl_usd::float8 as tvl_usd,
    share_price::float8 as share_price,
    weights,
    source,
    provider,
    data_mode,
    available_at,
    is_flagged,
    seq
from judged
where not is_out
order by series, interval, ts, available_at desc, seq desc
