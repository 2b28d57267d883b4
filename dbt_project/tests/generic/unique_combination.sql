-- A row returned is a key that occurs more than once.
{% test unique_combination(model, columns, time_column=none) %}
select {{ columns | join(', ') }}, count(*) as occurrences from {{ model }}
where {{ recent(model, time_column) }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}
