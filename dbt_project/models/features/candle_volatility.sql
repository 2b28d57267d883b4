-- One row per (series, as_of): volatility of a coin at the close of every hourly slot, on the trailing 24 slots and on
-- the same-hour daily grid behind it. Recursions run along that grid: 24 interleaved chains a series.
{{ config(
    materialized='incremental',
    unique_key=['series', 'as_of'],
    indexes=[{'columns': ['series', 'as_of'], 'unique': true}, {'columns': ['as_of']}, {'columns': ['built_at']}],
    post_hook="{{ analyze_once() }}",
) }}
{%- set since = last_build(this, overlap=false) -%}
{%- set changed = changed_series(
    "select series, min(ts)::text from " ~ ref('bar_returns') ~ " where built_at > '" ~ since ~ "' group by series"
) if since else [] %}

with

changed as (
{%- if is_incremental() %}
    {{ changed_values(changed) }}
{%- else %}
    select distinct series, '-infinity'::timestamptz as changed_from from {{ ref('bar_returns') }}
{%- endif %}
),

-- 30 days of the longest window, one day inside the oldest of them, one of slack.
bars as (
    select
        slots.*,
        coalesce(slots.open, slots.close) as start_price,
        (slots.high + slots.low + (case when slots.is_observed then slots.close end)) / 3 as typical_price,
        changed.changed_from
    from {{ ref('bar_returns') }} as slots
    inner join changed
        on changed.series = slots.series and slots.ts >= changed.changed_from - interval '32 days'
    {%- if is_incremental() %}
    where {{ changed_bounds(changed, of='slots', margin='32 days') }}
    {%- endif %}
),

last_day as (
    select
        series,
        ts,
        changed_from,
        slot_no,
        is_held,
        close,
        lag(close, 24) over slots as close_before,
        count(r) over day_window as n_obs,
        sum(r * r) over day_window as squares,
        sum(r * r) filter (where r < 0) over day_window as negative_squares,
        max(r * r) over day_window as largest_square,
        sum(r * r) over (slots rows between 5 preceding and current row) as squares_6h,
        sum(r * r) over (slots rows between 11 preceding and current row) as squares_12h,
        first_value(start_price) over day_window as open,
        max(high) over day_window as high,
        min(low) over day_window as low,
        sum(volume_base) over day_window as volume_base,
        sum(volume_quote) over day_window as volume_quote,
        count(volume_quote) over day_window as n_volume_quote,
        count(volume_base) over day_window as n_volume_base,
        sum(typical_price * volume_base) over day_window as typical_turnover,
        max(available_at) over day_window as known_at,
        count(*) filter (where is_observed) over (slots rows between 719 preceding and current row) as observed_30d,
        count(*) over (slots rows between 719 preceding and current row) as slots_30d
    from bars
    window
        slots as (partition by series order by ts),
        day_window as (partition by series order by ts rows between 23 preceding and current row)
),

-- The first full day behind a slot starts with the 25th: before it there is no return over a day.
daily as (
    select
        *,
        slot_no % 24 as chain,
        n_obs >= 22 as is_enough,
        case when n_obs >= 22 then greatest(squares * (24.0::float8 / n_obs), {{ rv_floor() }}) end as rv,
        ln(close) - ln(close_before) as ret,
        {{ parkinson('high', 'low') }} as parkinson,
        {{ garman_klass('open', 'high', 'low', 'close') }} as garman_klass,
        {{ rogers_satchell('open', 'high', 'low', 'close') }} as rogers_satchell,
        {{ true_range('high', 'low', 'close_before') }} as true_range,
        case when n_volume_quote = n_volume_base then volume_quote else typical_turnover end
            / nullif(volume_base, 0) as vwap,
        ln(nullif(volume_base, 0)) as log_volume
    from last_day
    where slot_no >= 25
),

changes as (
    select *, ln(rv) - ln(lag(rv) over (partition by series, chain order by ts)) as log_rv_change
    from daily
),

windows as (
    select
        *,
        {{ mean_if_present('rv', 'w7', 5) }} as rv_w,
        {{ mean_if_present('rv', 'w30', 24) }} as rv_m,
        case when count(log_rv_change) over w30 >= 10 then stddev_samp(log_rv_change) over w30 end as vol_of_vol,
        {{ zscore('ln(close)', 'w30', 20) }} as zscore_30,
        {{ zscore('log_volume', 'w30', 20) }} as volume_z,
        {{ mean_if_present('case when abs(ret) < 1e-9 then 1.0::float8 else 0.0 end', 'w22', 5) }} as unchanged_share,
        max(known_at) over w30 as window_known_at
    from changes
    window
        w7 as (partition by series, chain order by ts rows between 6 preceding and current row),
        w22 as (partition by series, chain order by ts rows between 21 preceding and current row),
        w30 as (partition by series, chain order by ts rows between 29 preceding and current row)
),

-- Recursions start from the stored state of the day before, so their history is never read again.
chained as (
    select
        series, ts, chain, rv as ewma_input, true_range as atr_input, close as fast_input, close as slow_input,
        true as is_new
    from windows
    where ts >= changed_from
    {%- if is_incremental() %}

    union all

    select
        stored.series, stored.as_of - interval '1 hour', stored.slot_no % 24,
        stored.ewma_rv, stored.atr_14, stored.ema_fast, stored.ema_slow, false
    from {{ this }} as stored
    inner join changed
        on changed.series = stored.series
        and stored.as_of >= changed.changed_from - interval '23 hours'
        and stored.as_of <= changed.changed_from
    where {{ changed_bounds(changed, of='stored', column='as_of', margin='23 hours') }}
    {%- endif %}
),

smoothed as (
    select
        series,
        ts,
        is_new,
        {{ smoothed_states('chain_window', fast_days=7, slow_days=30) }}
    from chained
    window chain_window as (partition by series, chain order by ts)
)

select
    windows.series,
    windows.ts + interval '1 hour' as as_of,
    (windows.ts at time zone 'UTC')::date as origin,
    extract(hour from windows.ts at time zone 'UTC') = 23 as is_origin,
    windows.window_known_at as known_at,
    windows.slot_no,
    windows.rv,
    windows.ret,
    windows.close,
    windows.n_obs::int as n_obs,
    24 as n_expected,
    (windows.slots_30d - windows.observed_30d)::float8 / windows.slots_30d as share_imputed,
    windows.is_held,
    windows.unchanged_share,
    windows.rv_w,
    windows.rv_m,
    smoothed.ewma_rv,
    windows.vol_of_vol,
    case when windows.is_enough then coalesce(windows.negative_squares, 0) / nullif(windows.squares, 0) end as neg_share,
    case when windows.is_enough then windows.largest_square / nullif(windows.squares, 0) end as jump_share,
    case when windows.is_enough then coalesce(windows.squares_6h, 0) end as rv_6h,
    case when windows.is_enough then coalesce(windows.squares_12h, 0) end as rv_12h,
    case when windows.is_enough then windows.parkinson end as parkinson,
    case when windows.is_enough then windows.garman_klass end as garman_klass,
    case when windows.is_enough then windows.rogers_satchell end as rogers_satchell,
    smoothed.atr_14,
    smoothed.ema_fast,
    smoothed.ema_slow,
    smoothed.ema_fast / smoothed.ema_slow as ema_ratio,
    windows.zscore_30,
    ln(windows.close / nullif(windows.vwap, 0)) as vwap_gap,
    windows.volume_z,
    now() as built_at
from windows
inner join smoothed on smoothed.series = windows.series and smoothed.ts = windows.ts and smoothed.is_new
where windows.ts >= windows.changed_from
