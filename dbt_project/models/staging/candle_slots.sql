-- One row per slot (series, interval, ts) of candles: the newest believed revision, else the newest one of all.
-- `is_believed` false: every revision is held or rejected. `is_held`: the newest revision is.
with ranked as (
    {{ ranked_revisions('candles') }}
)

select distinct on (series, interval, ts)
    series,
    interval,
    ts,
    open::float8 as open,
    high::float8 as high,
    low::float8 as low,
    close::float8 as close,
    volume_base::float8 as volume_base,
    volume_quote::float8 as volume_quote,
    trades,
    source,
    provider,
    data_mode,
    available_at,
    not is_out as is_believed,
    is_held,
    is_flagged,
    reasons as quarantine_reasons,
    seen_seq,
    judged_at
from ranked
order by series, interval, ts, is_out, available_at desc, seq desc
