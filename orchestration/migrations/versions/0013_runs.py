"""Backtests and simulations as runs: what was asked, how far it is, what came out. And the vaults that may be asked for.

The API may add runs: a role of its own, `ballast_requester`, inserts into these three tables and reads what a run reads.
"""

from __future__ import annotations

import logging

from alembic import op
from sqlalchemy.exc import DBAPIError

from orchestration.migrations.append_only import append_only
from orchestration.migrations.describe import describe

revision = "0013"
down_revision = "0012"

_RUNS = """
    create table risk.runs (
        id text primary key, kind text not null check (kind in ('backtest', 'simulation')),
        input_hash text not null, inputs jsonb not null, data_hash text not null, code_hash text not null,
        environment_hash text not null, environment jsonb not null, seed bigint not null,
        work bigint not null check (work >= 0), requested_by text not null, requested_at timestamptz not null,
        data_mode text not null, recorded_at timestamptz not null default clock_timestamp()
    )"""
_EVENTS = """
    create table risk.run_events (
        id bigint generated always as identity primary key, run text not null references risk.runs (id),
        status text not null check (status in ('queued', 'running', 'done', 'failed', 'cancelled')),
        detail text, said_by text not null, run_id text,
        recorded_at timestamptz not null default clock_timestamp()
    )"""
_RESULTS = """
    create table risk.run_results (
        run text primary key references risk.runs (id), summary jsonb not null, curve jsonb not null,
        trades jsonb not null, seconds double precision not null check (seconds >= 0),
        recorded_at timestamptz not null default clock_timestamp()
    )"""
_VAULTS = """
    create table ops.vaults (
        id text primary key, config jsonb not null, is_kept boolean not null,
        updated_at timestamptz not null default clock_timestamp()
    )"""
_DESCRIBED: dict[str, dict[str, tuple[str, ...]]] = {
    "risk": {
        "runs": ("id", "kind", "input_hash", "inputs", "data_hash", "code_hash", "environment_hash", "environment",
                 "seed", "work", "requested_by", "requested_at", "data_mode", "recorded_at"),
        "run_events": ("id", "run", "status", "detail", "said_by", "run_id", "recorded_at"),
        "run_results": ("run", "summary", "curve", "trades", "seconds", "recorded_at"),
    },
    "ops": {"vaults": ("id", "config", "is_kept", "updated_at")},
}  # fmt: skip

ROLE = "ballast_requester"
_OURS = ("risk.runs", "risk.run_events", "risk.run_results")
_MAY_TAKE = "case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end"
_FORBIDDEN = ("42501", "0LP01")  # insufficient_privilege, invalid_grant_operation


def _create_role() -> None:
    """As in revision 0005: roles belong to the whole server, another market's database may have made it."""
    op.execute(f"""
        do $$ begin
            if not exists (select from pg_roles where rolname = '{ROLE}') then create role {ROLE} nologin; end if;
        exception when duplicate_object or unique_violation then null; end $$""")
    op.execute(f"""
        do $$ begin
            if not pg_has_role(current_user, '{ROLE}', {_MAY_TAKE}) then grant {ROLE} to current_user; end if;
        end $$""")
    op.execute(f"grant usage on schema risk to {ROLE}")
    op.execute(f"grant select, insert on {', '.join(_OURS)} to {ROLE}")


def upgrade() -> None:
    for statement in (_RUNS, _EVENTS, _RESULTS, _VAULTS):
        op.execute(statement)
    op.execute("create index runs_newest on risk.runs (kind, recorded_at desc, id desc)")
    op.execute("create index run_events_newest on risk.run_events (run, id desc)")
    append_only({table: {} for table in _OURS})
    op.execute("""
        do $$ begin
            if exists (select from pg_roles where rolname = 'ballast_writer') then
                grant insert, update on ops.vaults to ballast_writer;
            end if;
        end $$""")
    for schema, tables in _DESCRIBED.items():
        describe(schema, tables)
    try:
        with op.get_bind().begin_nested():
            _create_role()
    except DBAPIError as error:
        if getattr(error.orig, "pgcode", None) not in _FORBIDDEN:
            raise
        logging.getLogger(__name__).info("this user may not create roles: all parts run as the one user")


def downgrade() -> None:
    raise NotImplementedError("history is never dropped: restore a backup instead")
