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
