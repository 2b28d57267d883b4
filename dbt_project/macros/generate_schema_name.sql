{# A model's schema is its layer, literally: `staging`, `features`, `serving`. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
