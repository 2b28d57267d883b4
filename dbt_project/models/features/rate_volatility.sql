-- One row per (series, as_of): volatility of a published rate at 00:00 UTC after each publication day.
{{ config(
    materialized='incremental',
    unique_key=['series', 'as_of'],
    indexes=[{'columns': ['series', 'as_of'], 'unique': true}, {'columns': ['as_of']}, {'columns': ['built_at']}],
    post_hook="{{ analyze_once() }}",
) }}
{%- set since = last_build(this, overlap=false) -%}
{%- set changed = changed_series(
    "select series, min(obs_no)::text from " ~ ref('rate_days') ~ " where built_at > '" ~ since ~ "' group by series"
) if since else [] %}

with

changed as (
{%- if is_incremental() %}
    {{ changed_values(changed, type='int') }}
{%- else %}
    select distinct series, 0 as changed_from from {{ ref('rate_days') }}
{%- endif %}
),

-- 30 observations of the longest window, 60 ranges behind the guard of the oldest of them, and slack.
days as (
    select
        days.*,
        changed.changed_from,
        ln(days.high / days.low) as log_range,
        greatest(days.high, days.low, days.open, days.printed_rate) <= greatest(days.high, days.low)
            and least(days.high, days.low, days.open, days.printed_rate) >= least(days.high, days.low)
            and days.high >= days.low and days.is_observed as is_sound_bar
    from changed
    inner join {{ ref('rate_days') }} as days
        on days.series = changed.series and days.obs_no >= changed.changed_from - 96
),

ranges as (
    select
        *,
        array_agg(log_range) filter (where log_range is not null) over (partition by series order by day rows between 60 preceding and 1 preceding)
            as ranges_before
    from days
),

-- A range over 10 % and over ten times the median of the 60 before it is an error of the feed; so is one that cannot
-- be judged yet. The squared return stands in.
guarded as (
    select
        *,
        case
            when log_range is null then ret * ret
            when log_range <= greatest(0.10, 10 * (
                select percentile_cont(0.5) within group (order by past) from unnest(ranges_before) as past
            )) and cardinality(ranges_before) >= 20
                then {{ parkinson('high', 'low') }}
            else ret * ret
        end as variance
    from ranges
),

daily as (
    select
        *,
        case when ret is not null then greatest(variance, {{ rv_floor() }}) end as rv,
        lag(close) over (partition by series order by day) as close_before,
        least(22, fx_day_no - first_fx_day_no + 1) as expected_22d,
        count(*) filter (where is_observed) over (
            partition by series order by fx_day_no range between 21 preceding and current row
        ) as observed_22d
    from guarded
),

changes as (
    select *, ln(rv) - ln(lag(rv) over (partition by series order by day)) as log_rv_change
    from daily
    where obs_no >= 2
),

windows as (
    select
        *,
        {{ mean_if_present('rv', 'w5', 4) }} as rv_w,
        {{ mean_if_present('rv', 'w22', 17) }} as rv_m,
        case when count(log_rv_change) over w22 >= 10 then stddev_samp(log_rv_change) over w22 end as vol_of_vol,
        {{ zscore('ln(close)', 'w30', 20) }} as zscore_30,
        {{ mean_if_present('case when abs(ret) < 1e-9 then 1.0::float8 else 0.0 end', 'w22', 5) }} as unchanged_share,
        sum(ret * ret) filter (where ret < 0) over w22 as negative_squares,
        sum(ret * ret) over w22 as squares,
        max(ret * ret) over w22 as largest_square,
        count(ret) over w22 >= 17 as is_enough,
        max(available_at) over w30 as known_at
    from changes
    window
        w5 as (partition by series order by day rows between 4 preceding and current row),
        w22 as (partition by series order by day rows between 21 preceding and current row),
        w30 as (partition by series order by day rows between 29 preceding and current row)
),

-- Recursions start from the stored state of the observation before.
chained as (
    select
        series,
        day,
        rv as ewma_input,
        {{ true_range('high', 'low', 'close_before') }} as atr_input,
        close as fast_input,
        close as slow_input,
        true as is_new
    from windows
    where obs_no >= changed_from
    {%- if is_incremental() %}

    union all

    select stored.series, stored.origin, stored.ewma_rv, stored.atr_14, stored.ema_fast, stored.ema_slow, false
    from changed
    inner join days on days.series = changed.series and days.obs_no = changed.changed_from - 1
    inner join {{ this }} as stored on stored.series = days.series and stored.origin = days.day
    {%- endif %}
),

smoothed as (
    select
        series,
        day,
        is_new,
        {{ smoothed_states('chain_window', fast_days=5, slow_days=22) }}
    from chained
    window chain_window as (partition by series order by day)
)

select
    windows.series,
    (windows.day + 1)::timestamp at time zone 'UTC' as as_of,
    windows.day as origin,
    true as is_origin,
    windows.known_at,
    windows.obs_no,
    windows.rv,
    windows.ret,
    windows.close,
    windows.is_observed::int as n_obs,
    1 as n_expected,
    -- A print on a holiday can make more observations than FX days.
    greatest(0, windows.expected_22d - windows.observed_22d)::float8 / windows.expected_22d as share_imputed,
    windows.is_held,
    windows.unchanged_share,
    windows.rv_w,
    windows.rv_m,
    smoothed.ewma_rv,
    windows.vol_of_vol,
    case when windows.is_enough then coalesce(windows.negative_squares, 0) / nullif(windows.squares, 0) end as neg_share,
    case when windows.is_enough then windows.largest_square / nullif(windows.squares, 0) end as jump_share,
    case when windows.is_sound_bar then {{ parkinson('windows.high', 'windows.low') }} end as parkinson,
    case when windows.is_sound_bar
        then {{ garman_klass('windows.open', 'windows.high', 'windows.low', 'windows.close') }}
    end as garman_klass,
    case when windows.is_sound_bar
        then {{ rogers_satchell('windows.open', 'windows.high', 'windows.low', 'windows.close') }}
    end as rogers_satchell,
    smoothed.atr_14,
    smoothed.ema_fast,
    smoothed.ema_slow,
    smoothed.ema_fast / smoothed.ema_slow as ema_ratio,
    windows.zscore_30,
    now() as built_at
from windows
inner join smoothed on smoothed.series = windows.series and smoothed.day = windows.day and smoothed.is_new
where windows.obs_no >= windows.changed_from
