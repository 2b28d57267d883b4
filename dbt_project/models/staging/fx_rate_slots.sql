-- One row per slot (series, interval, ts) of exchange rates: the newest believed revision, else the newest one of all.
-- `is_believed` false: every revision is held or rejected. `is_held`: the newest revision is.
with ranked as (
    {{ ranked_revisions('fx_rates') }}
)

select distinct on (series, interval, ts)
    series,
    interval,
    ts,
    base,
    quote,
    kind,
    side,
    rate::float8 as rate,
    open::float8 as open,
    high::float8 as high,
    low::float8 as low,
    bid::float8 as bid,
    ask::float8 as ask,
    n_offers,
    depth_base::float8 as depth_base,
    vwap::float8 as vwap,
    mode_price::float8 as mode_price,
    hhi::float8 as hhi,
    source_regime,
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
