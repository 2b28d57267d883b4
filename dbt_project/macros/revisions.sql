{# How staging chooses among the revisions of a slot (series, interval, ts). Columns of the raw table come along. #}

{# Every revision of raw.`dataset` with what quarantine says: `is_out` (this one is held or rejected), and of its slot
   `is_flagged`, `reasons`, `judged_at`. #}
{% macro judged_revisions(dataset) -%}
    select
        raw_rows.*,
        quarantine.reasons,
        coalesce(quarantine.is_flagged, false) as is_flagged,
        quarantine.judged_at,
        coalesce(quarantine.whole_slot_out or strpos(quarantine.digests_out, raw_rows.digest::text) > 0, false) as is_out
    from {{ source('raw', dataset) }} as raw_rows
    left join {{ ref('quarantine_state') }} as quarantine
        on quarantine.dataset = '{{ dataset }}'
        and quarantine.series = raw_rows.series
        and quarantine.interval = raw_rows.interval
        and quarantine.ts = raw_rows.ts
{%- endmacro %}

{# The same with `is_held` (the newest revision of the slot is out) and `seen_seq` (newest revision of the slot). #}
{% macro ranked_revisions(dataset) -%}
    select
        *,
        first_value(is_out) over (slot order by available_at desc, seq desc) as is_held,
        max(seq) over slot as seen_seq
    from (
        {{ judged_revisions(dataset) }}
    ) as judged
    window slot as (partition by series, interval, ts)
{%- endmacro %}
