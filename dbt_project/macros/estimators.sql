{# Formulas shared by coins and rates. Prices in, variance a day or plain numbers out; missing in, missing out. #}

{# (1 bp)^2 of variance a day: below it a market stood still and logarithms explode. #}
{% macro rv_floor() -%} 1e-8::float8 {%- endmacro %}

{# Parkinson (1980): ln(H/L)^2 / (4 ln 2). #}
{% macro parkinson(high, low) -%}
    (power(ln({{ high }} / {{ low }}), 2) / (4 * ln(2::float8)))
{%- endmacro %}

{# Garman and Klass (1980): ln(H/L)^2 / 2 - (2 ln 2 - 1) ln(C/O)^2. #}
{% macro garman_klass(open, high, low, close) -%}
    (0.5 * power(ln({{ high }} / {{ low }}), 2) - (2 * ln(2::float8) - 1) * power(ln({{ close }} / {{ open }}), 2))
{%- endmacro %}

{# Rogers and Satchell (1991): ln(H/C) ln(H/O) + ln(L/C) ln(L/O), free of drift. #}
{% macro rogers_satchell(open, high, low, close) -%}
    (ln({{ high }} / {{ close }}) * ln({{ high }} / {{ open }}) + ln({{ low }} / {{ close }}) * ln({{ low }} / {{ open }}))
{%- endmacro %}

{# Wilder's true range as a fraction of the close before, so that series of any price level compare. #}
{% macro true_range(high, low, close_before) -%}
    (case when {{ high }} is not null and {{ low }} is not null then
        (greatest({{ high }}, {{ close_before }}) - least({{ low }}, {{ close_before }})) / {{ close_before }}
    end)
{%- endmacro %}

{# Mean over a named window where at least `least` values are present. #}
{% macro mean_if_present(value, frame, least) -%}
    (case when count({{ value }}) over {{ frame }} >= {{ least }} then avg({{ value }}) over {{ frame }} end)
{%- endmacro %}

{# Distance from the window's mean in standard deviations, the row itself included. #}
{% macro zscore(value, frame, least) -%}
    (case when count({{ value }}) over {{ frame }} >= {{ least }}
        then ({{ value }} - avg({{ value }}) over {{ frame }}) / nullif(stddev_samp({{ value }}) over {{ frame }}, 0)
    end)
{%- endmacro %}
