"""Roles: writer (jobs), reader (serving), keeper. Group roles without login: a process takes one with SET ROLE."""

from alembic import op

revision = "0005"
down_revision = "0004"

_SCHEMAS = "raw, ops, ml, risk, keeper, staging, features, serving"


def upgrade() -> None:
    for role in ("ballast_writer", "ballast_reader", "ballast_keeper"):
        # Roles belong to the whole server, so another market's database may have made them already.
        op.execute(f"""
            do $$ begin
                if not exists (select from pg_roles where rolname = '{role}') then create role {role} nologin; end if;
            exception when duplicate_object or unique_violation then null; end $$""")
        op.execute(f"grant {role} to current_user")
    for schema in ("staging", "features", "serving"):
        op.execute(f"create schema if not exists {schema}")
    op.execute(f"grant usage on schema {_SCHEMAS} to ballast_writer, ballast_reader, ballast_keeper")
    for schema in _SCHEMAS.split(", "):
        op.execute(f"grant select on all tables in schema {schema} to ballast_writer, ballast_reader, ballast_keeper")
        op.execute(
            f"alter default privileges in schema {schema} "
            "grant select on tables to ballast_writer, ballast_reader, ballast_keeper"
        )
    for schema in ("raw", "ops", "ml", "risk"):
        op.execute(f"grant insert, update on all tables in schema {schema} to ballast_writer")
    op.execute("grant insert, update on all tables in schema keeper to ballast_keeper")
    op.execute("grant insert on raw.vault_snapshots to ballast_keeper")


def downgrade() -> None:
    raise NotImplementedError("history is never dropped: restore a backup instead")
