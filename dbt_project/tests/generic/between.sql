-- A row returned is a value outside [low, high]. Missing values pass: they are somebody else's test.
{% test between(model, column_name, low, high, time_column=none) %}
select {{ column_name }} from {{ model }}
where not ({{ column_name }} between {{ low }} and {{ high }}) and {{ recent(model, time_column) }}
{% endtest %}
