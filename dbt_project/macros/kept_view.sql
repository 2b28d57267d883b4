{#
  A view that is left alone while its definition stands. Replacing a view takes a lock its readers wait for, drops the
  views on top of it and clashes with other sessions' DDL; here a run that changes nothing touches nothing. The
  definition's digest is kept as the view's comment.
#}
{% materialization kept_view, adapter='postgres', supported_languages=['sql'] %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type='view') -%}
    {%- set digest = 'definition ' ~ local_md5(sql ~ (model.columns | string if config.get('contract') else '')) -%}
    {%- set stored = run_query(
        "select obj_description(to_regclass('" ~ target_relation.include(database=false) ~ "'), 'pg_class')"
    ).columns[0].values()[0] -%}

    {%- if existing is not none and existing.is_view and stored == digest -%}
        {% call noop_statement('main', 'KEPT', 'KEPT', 0) -%} {%- endcall %}
    {%- else -%}
        {%- if existing is not none -%} {% do adapter.cache_dropped(existing) %} {%- endif -%}
        {#- One transaction: a reader waits for the new view and never meets none. -#}
        {% call statement('main') -%}
            {% if existing is not none -%} drop {{ existing.type }} if exists {{ existing }} cascade; {%- endif %}
            {{ get_create_view_as_sql(target_relation, sql) }};
            comment on view {{ target_relation }} is '{{ digest }}'
        {%- endcall %}
        {{ adapter.commit() }}
    {%- endif -%}

    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
