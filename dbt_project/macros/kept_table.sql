{#
  A table that is left alone while its definition stands: for what is computed from nothing but its definition. Building
  it again would drop the views on top of it. The definition's digest is kept as the table's comment.
#}
{% materialization kept_table, adapter='postgres', supported_languages=['sql'] %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set digest = 'definition ' ~ local_md5(sql ~ (config.get('indexes') | string)) -%}
    {%- set stored = run_query(
        "select obj_description(to_regclass('" ~ target_relation.include(database=false) ~ "'), 'pg_class')"
    ).columns[0].values()[0] -%}

    {%- if existing is not none and existing.is_table and stored == digest -%}
        {% call noop_statement('main', 'KEPT', 'KEPT', 0) -%} {%- endcall %}
    {%- else -%}
        {%- if existing is not none -%} {% do adapter.cache_dropped(existing) %} {%- endif -%}
        {#- One transaction: a reader waits for the new table and never meets none. -#}
        {% call statement('main') -%}
            {% if existing is not none -%} drop {{ existing.type }} if exists {{ existing }} cascade; {%- endif %}
            {{ get_create_table_as_sql(False, target_relation, sql) }};
            comment on table {{ target_relation }} is '{{ digest }}'
        {%- endcall %}
        {% do create_indexes(target_relation) %}
        {{ adapter.commit() }}
    {%- endif -%}

    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
