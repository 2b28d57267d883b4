{#
  features.smooth(value, weight): state + weight * (value - state), started by the first value, missing values skipped.

  One aggregate serves EWMA, EMA and ATR. A window over it visits each row once, in order, so a build that starts from
  the stored state of the row before computes the very same sequence of floating-point operations as a full one.
#}
{% macro create_smoothing_aggregate() -%}
    do $body$ begin
        if to_regproc('features.smooth_step') is null then
            create function features.smooth_step(state float8, value float8, weight float8) returns float8
            language plpgsql immutable parallel safe as $step$
            begin
                if value is null then return state; end if;
                if state is null then return value; end if;
                return state + weight * (value - state);
            end $step$;
            create aggregate features.smooth(float8, float8) (sfunc = features.smooth_step, stype = float8);
        end if;
    end $body$
{%- endmacro %}

{#
  State of the four recursions after each row of `frame`, from ewma_input, atr_input, fast_input and slow_input: decay
  0.94 for variance, Wilder's 14 for the range, and an exponential mean weighs 2 / (days + 1).
#}
{% macro smoothed_states(frame, fast_days, slow_days) -%}
    features.smooth(ewma_input, 0.06) over {{ frame }} as ewma_rv,
        features.smooth(atr_input, 1.0::float8 / 14) over {{ frame }} as atr_14,
        features.smooth(fast_input, 2.0::float8 / {{ fast_days + 1 }}) over {{ frame }} as ema_fast,
        features.smooth(slow_input, 2.0::float8 / {{ slow_days + 1 }}) over {{ frame }} as ema_slow
{%- endmacro %}
