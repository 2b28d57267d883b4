-- One row per slot (series, interval, ts) of funding rates: the newest believed revision, else the newest one of all.
-- `is_believed` false: every revision is held or rejected. `is_held`: the newest revision is.
with ranked as (
    {{ ranked_revisions('funding') }}
)

select distinct on (series, interval, ts)
    series,
    interval,
    ts,
    exchange,
    funding_rate::float8 as funding_rate,
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
