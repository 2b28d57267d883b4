{# Market time as the database knows it; missing where no market was set up. #}
{% macro market_time() -%}
    (select case
        when clock_anchor is null then clock_timestamp()
        when wall_anchor is null then clock_anchor
        else clock_anchor + greatest(clock_timestamp() - wall_anchor, interval '0') * coalesce(clock_speed, 1)
    end from {{ source('ops', 'market') }})
{%- endmacro %}

{# Keeps a test on the newest stretch of a table, so that the hourly tick does not pay for history. #}
{% macro recent(model, time_column) -%}
    {%- if time_column -%}
    {{ time_column }} >= (select max({{ time_column }}) from {{ model }}) - interval '{{ var("test_window_days") }} days'
    {%- else -%}
    true
    {%- endif -%}
{%- endmacro %}
