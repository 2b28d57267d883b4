"""What may be said of a run after what: kept by the database, because API, job and command line speak at the same time.

A word that may not follow the newest one is left out: whoever says it sees that no row came back. And two indexes, for
what is open and for what the API queued and computed in the last day.
"""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"

# By what stands: what may come next. A run that is done stays done; one that was cancelled is asked for again before it
# is computed, so that the end of a computation that had not yet heard of it is no word against the one who cancelled.
_MAY_FOLLOW = {
    "": ("queued", "running", "done"),
    "queued": ("running", "done", "failed", "cancelled"),
    "running": ("running", "done", "failed", "cancelled"),
    "failed": ("queued", "done"),
    "cancelled": ("queued",),
    "done": (),
}
# The lock is held to the end of the transaction, and the statements after it see what others committed before. The
# number is drawn again under it: otherwise an event that waited would have a smaller one than what it waited for.
_FUNCTION = """
    create function risk.follow_run_event() returns trigger
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
    declare stands text;
    begin
        perform pg_advisory_xact_lock(hashtextextended('risk.run_events ' || new.run, 0));
        select status into stands from risk.run_events where run = new.run order by id desc limit 1;
        if not (coalesce(stands, '') || '>' || new.status) = any (array[{allowed}]) then
            return null;
        end if;
        new.id := nextval(pg_get_serial_sequence('risk.run_events', 'id'));
        new.recorded_at := clock_timestamp();
        return new;
    end $$"""


def upgrade() -> None:
    allowed = ", ".join(f"'{stands}>{said}'" for stands, several in _MAY_FOLLOW.items() for said in several)
    op.execute(_FUNCTION.format(allowed=allowed))
    op.execute(
        "create trigger follow before insert on risk.run_events for each row execute function risk.follow_run_event()"
    )
    op.execute("create index run_events_of_api on risk.run_events (status, recorded_at desc) where said_by = 'api'")


def downgrade() -> None:
    raise NotImplementedError("history is never dropped: restore a backup instead")
