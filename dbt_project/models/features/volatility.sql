-- One row per (series, as_of): what was known about the volatility of a series at that moment. The contract between the
-- tables and the models. A view: premium and funding are joined as known at `as_of` when it is read, so a late row of
-- theirs never leaves a stale copy behind.
{{ config(materialized='kept_view') }}

with

known as (
    select distinct on (id) id, kind, base, quote
    from {{ source('ops', 'series') }}
    where (dataset = 'candles' and interval = '1h')
        or (dataset = 'fx_rates' and interval = '1d' and kind in ('ranges', 'fixings'))
    order by id
)

select
    candles.series,
    known.kind,
    candles.as_of,
    candles.origin,
    candles.is_origin,
    candles.known_at,
    candles.rv,
    candles.ret,
    candles.close,
    candles.n_obs,
    candles.n_expected,
    candles.share_imputed,
    candles.is_held,
    candles.unchanged_share,
    candles.rv_w,
    candles.rv_m,
    candles.ewma_rv,
    candles.vol_of_vol,
    candles.neg_share,
    candles.jump_share,
    candles.rv_6h,
    candles.rv_12h,
    candles.parkinson,
    candles.garman_klass,
    candles.rogers_satchell,
    candles.atr_14,
    candles.ema_ratio,
    candles.zscore_30,
    candles.vwap_gap,
    candles.volume_z,
    null::float8 as premium,
    null::float8 as premium_age_h,
    funding.rate_8h as funding_rate,
    extract(isodow from candles.as_of at time zone 'UTC')::int as dow,
    extract(day from (candles.as_of at time zone 'UTC') + interval '1 day') = 1 as is_month_end
from {{ ref('candle_volatility') }} as candles
inner join known on known.id = candles.series
left join lateral (
    select rates.rate_8h
    from {{ ref('funding_8h') }} as rates
    where rates.base = known.base
        and rates.available_at <= candles.as_of
        and rates.available_at > candles.as_of - interval '24 hours'
        and rates.rate_8h is not null
    order by rates.available_at desc, rates.series
    limit 1
) as funding on true

union all

select
    rates.series,
    known.kind,
    rates.as_of,
    rates.origin,
    rates.is_origin,
    rates.known_at,
    rates.rv,
    rates.ret,
    rates.close,
    rates.n_obs,
    rates.n_expected,
    rates.share_imputed,
    rates.is_held,
    rates.unchanged_share,
    rates.rv_w,
    rates.rv_m,
    rates.ewma_rv,
    rates.vol_of_vol,
    rates.neg_share,
    rates.jump_share,
    null::float8,
    null::float8,
    rates.parkinson,
    rates.garman_klass,
    rates.rogers_satchell,
    rates.atr_14,
    rates.ema_ratio,
    rates.zscore_30,
    null::float8,
    null::float8,
    ln(street.street_rate) - ln(rates.close),
    extract(epoch from rates.as_of - street.available_at)::float8 / 3600,
    null::float8,
    extract(isodow from calendar.next_fx_day)::int,
    next_day.is_fx_month_end
from {{ ref('rate_volatility') }} as rates
inner join known on known.id = rates.series
inner join {{ ref('calendar') }} as calendar on calendar.day = rates.origin
inner join {{ ref('calendar') }} as next_day on next_day.day = calendar.next_fx_day
left join lateral (
    select premium.street_rate, premium.available_at
    from {{ ref('premium') }} as premium
    where premium.quote = known.quote
        and (premium.base = known.base or (known.base = 'USD' and premium.base in ('USDT', 'USDC', 'BUSD', 'DAI')))
        and premium.is_observed
        and premium.source_regime in ('free', 'capped')
        and premium.available_at <= rates.as_of
        and premium.available_at > rates.as_of - interval '7 days'
    order by premium.available_at desc, premium.series
    limit 1
) as street on true
