-- A row returned claims to be known later than the market's clock.
{% test not_in_future(model, column_name, time_column=none) %}
select {{ column_name }} from {{ model }}
where {{ column_name }} > {{ market_time() }} and {{ recent(model, time_column) }}
{% endtest %}
