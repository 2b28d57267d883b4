{#
  How the hourly tick finds its work. No fixed look-back: whatever was recorded since the last build (rows, revisions,
  holds, releases, late rows of any age) is compared with what the table holds, and each series is rebuilt from its
  first difference to its end. A tick without news rebuilds nothing; a correction of a year ago rebuilds a year of
  that one series. The result equals a full refresh bit for bit.
#}

{# Stamp of the last build of `relation` as a literal, minus the overlap; none in a full build. #}
{% macro last_build(relation, overlap=true) -%}
    {%- if not execute or not is_incremental() -%}{{ return(none) }}{%- endif -%}
    {%- set minutes = var('overlap_minutes') if overlap else 0 -%}
    {%- set rows = run_query(
        "select coalesce(max(built_at) - make_interval(mins => " ~ minutes ~ "), '-infinity')::text from " ~ relation
    ) -%}
    {{ return(rows.columns[0].values()[0]) }}
{%- endmacro %}

{# Runs `query` (series, changed_from) while building incrementally; an empty list means nothing changed. #}
{% macro changed_series(query) -%}
    {%- if not execute or not is_incremental() -%}{{ return([]) }}{%- endif -%}
    {{ return(run_query(query).rows | list) }}
{%- endmacro %}

{# The list of `changed_series` as a relation (series, changed_from). #}
{% macro changed_values(changed, type='timestamptz') -%}
    {%- if changed -%}
    select * from (values
        {% for row in changed -%}
        ({{ dbt.string_literal(dbt.escape_single_quotes(row[0])) }}, {{ dbt.string_literal(row[1] | string) }}::{{ type }}){{ "," if not loop.last }}
        {% endfor -%}
    ) as listed (series, changed_from)
    {%- else -%}
    select null::text as series, null::{{ type }} as changed_from where false
    {%- endif -%}
{%- endmacro %}

{# Literal bounds the planner can push into a view and use to skip partitions. `margin` widens the window. #}
{% macro changed_bounds(changed, of, column='ts', margin='0 days', type='timestamptz') -%}
    {%- if changed -%}
    {{ of }}.series in (
        {%- for row in changed %}{{ dbt.string_literal(dbt.escape_single_quotes(row[0])) }}{{ ", " if not loop.last }}{% endfor -%}
    )
        and {{ of }}.{{ column }} >= {{ dbt.string_literal(changed | map(attribute=1) | map('string') | min) }}::{{ type }}
            - interval '{{ margin }}'
    {%- else -%}
    false
    {%- endif -%}
{%- endmacro %}

{#
  Query (series, changed_from) over raw rows and quarantine events recorded since `since` that `relation` has not seen.
  `known` picks the series out of the catalogue; `rows` names the raw row (or the quarantined one), `slot` its place in the relation, `key` that place's column.
#}
{% macro changed_slots_query(dataset, relation, since, known, scope, slot, key) -%}
    with changed as (
        select rows.series, {{ slot }} as slot
        from {{ source('raw', dataset) }} as rows
        where {{ scope }}
            and rows.series in (select known.id from {{ source('ops', 'series') }} as known where {{ known }})
            and rows.recorded_at >= {{ dbt.string_literal(since) }}
            and not exists (
                select from {{ relation }} as seen
                where seen.series = rows.series and seen.{{ key }} = {{ slot }} and seen.seen_seq >= rows.seq
            )

        union all

        select rows.series, {{ slot }}
        from {{ source('raw', 'quarantine') }} as rows
        left join {{ source('raw', 'quarantine_releases') }} as releases on releases.quarantine_id = rows.id
        where rows.dataset = '{{ dataset }}'
            and {{ scope }}
            and rows.series in (select known.id from {{ source('ops', 'series') }} as known where {{ known }})
            and greatest(rows.recorded_at, releases.recorded_at) >= {{ dbt.string_literal(since) }}
            and exists (
                select from {{ relation }} as seen
                where seen.series = rows.series
                    and seen.{{ key }} = {{ slot }}
                    and coalesce(seen.judged_at, '-infinity') < greatest(rows.recorded_at, releases.recorded_at)
            )

        union all

        -- A series that joined the catalogue after its rows were stored.
        select known.id, '-infinity'
        from {{ source('ops', 'series') }} as known
        where {{ known }}
            and not exists (select from {{ relation }} as seen where seen.series = known.id)
            and exists (select from {{ source('raw', dataset) }} as rows where rows.series = known.id and {{ scope }})
    )

    select changed.series, min(changed.slot)::text
    from changed
    group by changed.series
{%- endmacro %}

{# Statistics after a full build: the planner meets the tables minutes before autovacuum does. #}
{% macro analyze_once() -%}
    {%- if not is_incremental() -%}analyze {{ this }}{%- else -%}select 1{%- endif -%}
{%- endmacro %}
