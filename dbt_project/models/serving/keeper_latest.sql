-- One row per vault: the newest decision of the keeper and, if it acted, how far that went.
with

latest as (
    select distinct on (vault_id) *
    from {{ source('keeper', 'decisions') }}
    order by vault_id, created_at desc
)

select
    latest.vault_id,
    latest.id as decision_id,
    latest.policy_version,
    latest.score_as_of,
    latest.verdict,
    latest.reasons,
    latest.plan,
    latest.data_mode,
    latest.phase,
    latest.market_time,
    latest.created_at as decided_at,
    intents.id as intent_id,
    intents.state as intent_state,
    intents.reason as intent_reason,
    intents.attempts,
    attempt.tx_hash,
    attempt.ledger,
    attempt.fee_charged as fee_charged_stroops
from latest
left join {{ source('keeper', 'intents') }} as intents on intents.decision_id = latest.id
left join lateral (
    select tx_hash, ledger, fee_charged
    from {{ source('keeper', 'attempts') }} as attempts
    where attempts.intent_id = intents.id
    order by attempts.n desc
    limit 1
) as attempt on true
