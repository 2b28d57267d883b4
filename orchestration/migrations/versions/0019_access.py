"""Who may ask the API: keys, when they end, when they were used last; and what was asked that computes or changes.

The API checks keys and keeps this record under a role of its own, `ballast_gatekeeper`, which reaches these four tables
and nothing else. No other role reads them: a digest is of no use, but nobody else needs it either.
"""

from __future__ import annotations

import logging

from alembic import op
from sqlalchemy.exc import DBAPIError

from orchestration.migrations.append_only import append_only
from orchestration.migrations.describe import describe

revision = "0019"
down_revision = "0018"

_KEYS = """
    create table ops.api_keys (
        id text primary key check (id ~ '^[0-9a-f]{12}$'), name text not null,
        scopes text[] not null check (cardinality(scopes) > 0 and scopes <@ array['read', 'simulate', 'operate']),
        digest bytea not null unique check (octet_length(digest) = 32),
        per_minute integer check (per_minute >= 0), replaces text references ops.api_keys (id),
        created_by text not null, created_at timestamptz not null, expires_at timestamptz not null,
        recorded_at timestamptz not null default clock_timestamp(),
        check (expires_at > created_at)
    )"""
_ENDS = """
    create table ops.api_key_ends (
        id bigint generated always as identity primary key,
        key_id text not null references ops.api_keys (id), ends_at timestamptz not null,
        why text not null check (why in ('rotated', 'revoked')), reason text not null, said_by text not null,
        recorded_at timestamptz not null default clock_timestamp()
    )"""
_USES = """
    create table ops.api_key_uses (
        key_id text primary key references ops.api_keys (id), last_used_at timestamptz not null
    )"""
_CALLS = """
    create table ops.api_calls (
        id bigint generated always as identity primary key,
        request_id text not null, event text not null check (event in ('asked', 'answered', 'refused')),
        caller text not null, scope text not null check (scope in ('simulate', 'operate')),
        method text not null, path text not null, status integer check (status between 100 and 599),
        at timestamptz not null, recorded_at timestamptz not null default clock_timestamp(),
        check ((event = 'asked') = (status is null))
    )"""
_DESCRIBED = {
    "api_keys": ("id", "name", "scopes", "digest", "per_minute", "replaces", "created_by", "created_at", "expires_at",
                 "recorded_at"),
    "api_key_ends": ("id", "key_id", "ends_at", "why", "reason", "said_by", "recorded_at"),
    "api_key_uses": ("key_id", "last_used_at"),
    "api_calls": ("id", "request_id", "event", "caller", "scope", "method", "path", "status", "at", "recorded_at"),
}  # fmt: skip

ROLE = "ballast_gatekeeper"
_OTHERS = "ballast_writer, ballast_reader, ballast_keeper"
_TABLES = ", ".join(f"ops.{table}" for table in _DESCRIBED)
_MAY_TAKE = "case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end"
_FORBIDDEN = ("42501", "0LP01")  # insufficient_privilege, invalid_grant_operation


def _create_role() -> None:
    """As in revision 0013: roles belong to the whole server, another market's database may have made it."""
    op.execute(f"""
        do $$ begin
            if not exists (select from pg_roles where rolname = '{ROLE}') then create role {ROLE} nologin; end if;
        exception when duplicate_object or unique_violation then null; end $$""")
    op.execute(f"""
        do $$ begin
            if not pg_has_role(current_user, '{ROLE}', {_MAY_TAKE}) then grant {ROLE} to current_user; end if;
        end $$""")
    op.execute(f"grant usage on schema ops to {ROLE}")
    op.execute(f"grant select on ops.api_keys, ops.api_key_ends to {ROLE}")
    op.execute(f"grant select, insert, update on ops.api_key_uses to {ROLE}")
    op.execute(f"grant insert on ops.api_calls to {ROLE}")


def upgrade() -> None:
    for statement in (_KEYS, _ENDS, _USES, _CALLS):
        op.execute(statement)
    op.execute("create index api_key_ends_of on ops.api_key_ends (key_id)")
    op.execute("create index api_calls_newest on ops.api_calls (at desc, id desc)")
    append_only({"ops.api_keys": {}, "ops.api_key_ends": {}, "ops.api_calls": {}})
    op.execute(f"""
        do $$ begin
            if exists (select from pg_roles where rolname = 'ballast_writer') then
                revoke all on {_TABLES} from {_OTHERS};
            end if;
        end $$""")
    describe("ops", _DESCRIBED)
    try:
        with op.get_bind().begin_nested():
            _create_role()
    except DBAPIError as error:
        if getattr(error.orig, "pgcode", None) not in _FORBIDDEN:
            raise
        logging.getLogger(__name__).info("this user may not create roles: all parts run as the one user")


def downgrade() -> None:
    raise NotImplementedError("history is never dropped: restore a backup instead")
