-- A row returned is a slot between the first and the last of a series that the calendar names and the table lacks.
{% test complete_calendar(model, series_column, time_column, step) %}
with

bounds as (
    select {{ series_column }} as series, min({{ time_column }}) as first_slot, max({{ time_column }}) as last_slot
    from {{ model }}
    where {{ recent(model, time_column) }}
    group by {{ series_column }}
),

expected as (
    select series, generate_series(first_slot, last_slot, interval '{{ step }}') as slot from bounds
)

select expected.series, expected.slot
from expected
left join {{ model }} as present
    on present.{{ series_column }} = expected.series and present.{{ time_column }} = expected.slot
where present.{{ series_column }} is null
{% endtest %}
