-- One row per quarantined slot (dataset, series, interval, ts): which revisions are not believed, and why.
-- A release by the rule itself only says "true after all": the row was not known to be true at its time, so it stays
-- out. A release by a human puts it back.
with

entries as (
    select * from {{ source('raw', 'quarantine') }} where interval is not null and ts is not null
),

releases as (
    select * from {{ source('raw', 'quarantine_releases') }}
),

judged as (
    select
        entries.*,
        entries.action in ('reject', 'hold') and coalesce(releases.released_by, 'rule') = 'rule' as is_out,
        greatest(entries.recorded_at, releases.recorded_at) as last_event_at
    from entries
    left join releases on releases.quarantine_id = entries.id
)

select
    dataset,
    series,
    interval,
    ts,
    coalesce(bool_or(is_out and digest is null), false) as whole_slot_out,
    coalesce(string_agg(digest::text, ' ') filter (where is_out and digest is not null), '') as digests_out,
    string_agg(distinct reason, ', ' order by reason) as reasons,
    bool_or(action = 'flag') as is_flagged,
    max(last_event_at) as judged_at
from judged
group by dataset, series, interval, ts
