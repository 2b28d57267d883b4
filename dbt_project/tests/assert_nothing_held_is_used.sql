-- A row returned is an hour whose only prints are held or rejected, and that shows a price all the same.
select series, ts from {{ ref('bar_returns') }}
where not is_observed and (high is not null or low is not null or open is not null or r is not null)
