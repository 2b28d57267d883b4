"""What every new append-only table gets in its migration: the trigger, the writer's rights, its words."""

from __future__ import annotations

from collections.abc import Mapping

from alembic import op


def append_only(tables: Mapping[str, Mapping[str, str]], rights: str = "insert") -> None:
    """`tables`: words by column, by table (`schema.name`); the column "" is the table itself."""
    for table, words in tables.items():
        op.execute(
            f"create trigger append_only before update or delete on {table} "
            "for each row execute function raw.refuse_change()"
        )
        # A server whose user may not create roles has none to grant to (revision 0005).
        op.execute(f"""
            do $$ begin
                if exists (select from pg_roles where rolname = 'ballast_writer') then
                    grant {rights} on {table} to ballast_writer;
                end if;
            end $$""")
        for column, meaning in words.items():
            what = f"column {table}.{column}" if column else f"table {table}"
            quoted = meaning.replace("'", "''")
            op.execute(f"comment on {what} is '{quoted}'")
