-- A row returned is a bar known later than the moment the feature row claims its inputs were known.
select features.series, features.as_of, features.known_at, bars.available_at
from {{ ref('candle_volatility') }} as features
inner join {{ ref('bar_returns') }} as bars
    on bars.series = features.series and bars.ts = features.as_of - interval '1 hour'
where features.known_at < bars.available_at
    and {{ recent(ref('candle_volatility'), 'as_of') | replace('as_of >=', 'features.as_of >=') }}
