"""Reading what alerts are judged by. Each group is read for itself: one that fails leaves the others judged."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy.exc import DBAPIError

from keeper.alerts.facts import (
    ChannelFact,
    DatasetFact,
    DecisionFact,
    Facts,
    IntentFact,
    JobFact,
    KeyFact,
    LogFact,
    SwitchFact,
    TargetFact,
    Unread,
    VaultFacts,
)
from keeper.event_log import BrokenEventLog
from keeper.intent import IntentState
from keeper.limits import KeeperLimits, Phase
from keeper.store import KeeperStore
from models.contracts.jobs import ALLOWED_AGE_S
from models.contracts.tables import (
    KEEPER_ATTEMPTS,
    KEEPER_CONTROL,
    KEEPER_DECISIONS,
    KEEPER_EVENTS,
    KEEPER_INTENTS,
    OPS_ALERT_DELIVERIES,
    OPS_FRESHNESS,
    OPS_JOB_RUNS,
    OPS_SERIES,
    OPS_VAULTS,
    RISK_TARGET_ALLOCATIONS,
)
from orchestration.resources.database_errors import DatabaseError, DatabaseUnavailable
from orchestration.resources.warehouse_tables import Tables

T = TypeVar("T")

_LOOK_BACK = 50  # decisions and intents of a vault: two days of hourly ticks
_KEY_DAYS = 7  # sequence numbers are compared over so many days
# A source that says itself that nothing more will come is not late.
_QUIET = ("delisted at the source", "closed at the source")

# Of an intent `i` with its decision `d`: as `keeper.executor.Executor.awaits_approval`, by the phase of the decision.
AWAITS_APPROVAL = f"""(i.state in ('{IntentState.PLANNED}', '{IntentState.SIMULATED}') and d.phase = '{Phase.APPROVE}'
        and not exists (select from {KEEPER_EVENTS} as e where e.intent_id = i.id and e.kind = 'approved'))"""

_VAULTS = f"""
    select id, (config -> 'limits' ->> 'max_fee_stroops')::bigint as max_fee from {OPS_VAULTS}
    where is_kept and (config ->> 'network' = 'devnet' or config ->> 'contract' is not null) order by id"""
_DECISIONS = f"""
    select id::text as id, verdict, reasons, market_time, created_at, inputs -> 'chain' is not null as saw_chain,
        (inputs -> 'chain' ->> 'balance_stroops')::bigint as balance_stroops
    from {KEEPER_DECISIONS} where vault_id = :vault order by created_at desc limit :limit"""
_INTENTS = f"""
    select i.id::text as id, i.state, i.action, i.reason, i.created_at, i.updated_at, a.max_time as max_time_s,
        a.tx_hash, a.result_code, {AWAITS_APPROVAL} as awaits_approval, i.not_after
    from {KEEPER_INTENTS} as i join {KEEPER_DECISIONS} as d on d.id = i.decision_id left join lateral (
        select max_time, tx_hash, result_code from {KEEPER_ATTEMPTS} where intent_id = i.id order by n desc limit 1
    ) as a on true
    where i.vault_id = :vault order by i.created_at desc limit :limit"""
_TARGETS = f"""
    select as_of, valid_until, recorded_at from {RISK_TARGET_ALLOCATIONS} where vault_id = :vault"""
# A sequence that went down is another chain (or a lagging node): what was seen before says nothing about it.
_KEY = f"""
    with seen as (
        select id, created_at, inputs -> 'chain' ->> 'rebalance_manager' as account,
            (inputs -> 'chain' ->> 'sequence')::bigint as sequence
        from {KEEPER_DECISIONS}
        where vault_id = :vault and inputs -> 'chain' is not null
            and created_at > clock_timestamp() - make_interval(days => :days)
    ),

    own as (
        select *, sequence < lag(sequence) over (order by created_at) as went_down
        from seen where account = (select account from seen order by created_at desc limit 1)
    ),

    span as (
        select account, min(sequence) as first, max(sequence) as last from own
        where created_at >= coalesce((select max(created_at) from own where went_down), '-infinity') group by account
    )

    select span.*, (
        select count(distinct a.sequence) from {KEEPER_ATTEMPTS} as a join {KEEPER_INTENTS} as i on i.id = a.intent_id
        where i.source_account = span.account and a.signed_xdr is not null
            and a.sequence > span.first and a.sequence <= span.last
    ) as ours
    from span
    where exists (select from {KEEPER_INTENTS} where source_account = span.account)"""
_SWITCHES = f"""
    select distinct on (scope) scope, mode, reason, set_by, at, seq from {KEEPER_CONTROL} order by scope, seq desc"""
_JOBS = f"""
    select distinct on (job) job, market_time, finished_at from {OPS_JOB_RUNS}
    where ok and market_time is not null and job = any(:jobs) order by job, finished_at desc"""
_DATASETS = f"""
    select f.dataset, count(*)::int as series,
        array_agg(f.series order by f.series) filter (where f.stale) as stale,
        array_agg(coalesce(f.stalled_by, 'unknown') order by f.series) filter (where f.stale) as reasons
    from {OPS_FRESHNESS} as f
    join {OPS_SERIES} as s on s.dataset = f.dataset and s.id = f.series and s.interval = f.interval
    where s.scored and coalesce(f.stalled_by, '') <> all(:quiet) group by f.dataset order by f.dataset"""
# Failures since the last message that arrived.
_CHANNELS = f"""
    select d.channel as name, min(d.at) as failing_since, count(*)::int as failures,
        (array_agg(d.error order by d.id desc))[1] as error
    from {OPS_ALERT_DELIVERIES} as d
    where d.outcome = 'failed' and d.channel = any(:channels) and d.id > coalesce((
        select max(o.id) from {OPS_ALERT_DELIVERIES} as o where o.channel = d.channel and o.outcome <> 'failed'
    ), 0)
    group by d.channel order by d.channel"""


def read_facts(tables: Tables, channels: tuple[str, ...] = ()) -> Facts:
    """Facts of all groups; a group that cannot be read is None and named in `unread`.

    Parameters
    ----------
    channels : those in use; the failures of a former one are nobody's business any more.

    Raises
    ------
    DatabaseUnavailable
        If the database is away: then nothing can be judged at all.
    """
    unread: list[Unread] = []

    def group(name: str, read: Callable[[Tables], T]) -> T | None:
        try:
            return read(tables)
        except DatabaseUnavailable:
            raise
        except (DatabaseError, DBAPIError, ValueError, KeyError, TypeError) as error:
            first_line = (str(error).splitlines() or ["no words"])[0]  # cut later: a cut secret is not recognised
            unread.append(Unread(name, f"{type(error).__name__}: {first_line}"))
            return None

    return Facts(
        vaults=group("vaults", _vaults),
        switches=group("switches", _switches),
        log=group("event log", _log),
        jobs=group("jobs", _jobs),
        datasets=group("data", _datasets),
        channels=group("channels", lambda t: _channels(t, channels)),
        unread=tuple(unread),
    )


def _vaults(tables: Tables) -> tuple[VaultFacts, ...]:
    reserve = KeeperLimits().reserve_stroops
    return tuple(_vault(tables, row["id"], reserve, row["max_fee"]) for row in tables.rows(_VAULTS))


def _vault(tables: Tables, vault_id: str, reserve: int, max_fee: int) -> VaultFacts:
    newest: dict[str, Any] = {"vault": vault_id, "limit": _LOOK_BACK}
    decisions = [DecisionFact(**{**row, "reasons": tuple(row["reasons"])}) for row in tables.rows(_DECISIONS, newest)]
    usable = tables.rows(f"{_TARGETS} and not degraded order by as_of desc, id desc limit 1", {"vault": vault_id})
    first = tables.rows(f"{_TARGETS} order by id limit 1", {"vault": vault_id})
    key = tables.rows(_KEY, {"vault": vault_id, "days": _KEY_DAYS})
    return VaultFacts(
        id=vault_id,
        reserve_stroops=reserve,
        max_fee_stroops=max_fee,
        decisions=tuple(decisions),
        intents=tuple(IntentFact(**row) for row in tables.rows(_INTENTS, newest)),
        target=TargetFact(**usable[0]) if usable else None,
        first_target=TargetFact(**first[0]) if first else None,
        key=KeyFact(**key[0]) if key else None,
    )


def _switches(tables: Tables) -> tuple[SwitchFact, ...]:
    return tuple(SwitchFact(**row) for row in tables.rows(_SWITCHES))


def _log(tables: Tables) -> LogFact:
    try:
        KeeperStore(tables.engine).verify_events()
    except BrokenEventLog as error:
        return LogFact(str(error))
    return LogFact(None)


def _jobs(tables: Tables) -> tuple[JobFact, ...]:
    rows = tables.rows(_JOBS, {"jobs": sorted(ALLOWED_AGE_S)})
    return tuple(
        JobFact(row["job"], row["market_time"], row["finished_at"], timedelta(seconds=ALLOWED_AGE_S[row["job"]]))
        for row in rows
    )


def _datasets(tables: Tables) -> tuple[DatasetFact, ...]:
    rows = tables.rows(_DATASETS, {"quiet": list(_QUIET)})
    return tuple(
        DatasetFact(row["dataset"], row["series"], tuple(zip(row["stale"] or (), row["reasons"] or (), strict=True)))
        for row in rows
    )


def _channels(tables: Tables, names: tuple[str, ...]) -> tuple[ChannelFact, ...]:
    return tuple(ChannelFact(**row) for row in tables.rows(_CHANNELS, {"channels": list(names)}))
