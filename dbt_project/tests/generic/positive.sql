-- A row returned is a value that is present and not above zero.
{% test positive(model, column_name, time_column=none) %}
select {{ column_name }} from {{ model }}
where {{ column_name }} <= 0 and {{ recent(model, time_column) }}
{% endtest %}
