"""Roles: writer (jobs), reader (serving), keeper. Group roles without login: a process takes one with SET ROLE.

A server whose user may not create roles works without them: everything then runs as that one user.
"""

import logging

from alembic import op
from sqlalchemy.exc import DBAPIError

revision = "0005"
down_revision = "0004"

_ROLES = ("ballast_writer", "ballast_reader", "ballast_keeper")
_SCHEMAS = ("raw", "ops", "ml", "risk", "keeper", "staging", "features", "serving")
# PostgreSQL 16 told "may take the role" from "is a member of it"; before, a member may.
_MAY_TAKE = "case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end"
_FORBIDDEN = ("42501", "0LP01")  # insufficient_privilege, invalid_grant_operation


def _create_roles() -> None:
    for role in _ROLES:
        # Roles belong to the whole server: another market's database may have made them, even at this moment.
        op.execute(f"""
            do $$ begin
                if not exists (select from pg_roles where rolname = '{role}') then create role {role} nologin; end if;
            exception when duplicate_object or unique_violation then null; end $$""")
        op.execute(f"""
            do $$ begin
                if not pg_has_role(current_user, '{role}', {_MAY_TAKE}) then grant {role} to current_user; end if;
            end $$""")


def _grant() -> None:
    roles = ", ".join(_ROLES)
    for schema in _SCHEMAS:
        op.execute(f"grant usage on schema {schema} to {roles}")
        op.execute(f"grant select on all tables in schema {schema} to {roles}")
        op.execute(f"alter default privileges in schema {schema} grant select on tables to {roles}")
    for schema in ("raw", "ops", "ml", "risk"):
        op.execute(f"grant insert, update on all tables in schema {schema} to ballast_writer")
    op.execute("grant delete on ops.gaps to ballast_writer")  # a gap is split into what was filled and what was not
    op.execute("grant insert, update on all tables in schema keeper to ballast_keeper")
    op.execute("grant insert on raw.vault_snapshots to ballast_keeper")


def upgrade() -> None:
    for schema in ("staging", "features", "serving"):
        op.execute(f"create schema if not exists {schema}")
    try:
        with op.get_bind().begin_nested():
            _create_roles()
            _grant()
    except DBAPIError as error:
        if getattr(error.orig, "pgcode", None) not in _FORBIDDEN:
            raise
        logging.getLogger(__name__).info("this user may not create roles: all parts run as the one user")


def downgrade() -> None:
    raise NotImplementedError("history is never dropped: restore a backup instead")
