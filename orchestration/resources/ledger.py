"""The promotion ledger in the warehouse: rows of `ml.promotions` as entries and back. What they mean is
`models.validation.ledger`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from models.contracts.tables import ML_PROMOTIONS
from models.validation.ledger import Action, Entry

if TYPE_CHECKING:  # it stands on pandas, which a look at the ledger need not load
    from orchestration.resources.warehouse_tables import Tables

_READ = f"""
select id, action, panel, horizon_days, model_name, model_version, algorithm, replaced_version, reason, evidence,
    promoted_by as by, promoted_at as at
from {ML_PROMOTIONS} where cast(:name as text) is null or model_name = :name order by id
"""
_WRITE = f"""
insert into {ML_PROMOTIONS} (action, panel, horizon_days, model_name, model_version, algorithm, replaced_version,
    reason, evidence, promoted_by, promoted_at, run_id)
values (:action, :panel, :horizon_days, :model_name, :model_version, :algorithm, :replaced_version, :reason,
    cast(:evidence as jsonb), :by, :at, :run_id)
returning id
"""


def read_ledger(connection: Connection, name: str | None = None) -> list[Entry]:
    """All entries of a model, or of all models, in the order they were written."""
    found = connection.execute(text(_READ), {"name": name}).mappings()
    return [Entry(**{**row, "action": Action(row["action"])}) for row in found]


def add_entry(connection: Connection, entry: Entry, run_id: str | None) -> Entry:
    """Write an entry (its id is the database's) and return it as it stands in the ledger."""
    values = {name: getattr(entry, name) for name in Entry.__slots__ if name != "id"}
    values |= {"action": entry.action.value, "evidence": json.dumps(dict(entry.evidence), allow_nan=False)}
    return replace(entry, id=connection.execute(text(_WRITE), values | {"run_id": run_id}).scalar_one())


@contextmanager
def ledger_turn(warehouse: Tables) -> Iterator[None]:
    """One at a time: changing a champion, or scoring with the champions of now.

    Without it a tick that began before a rollback would have the last word with the version that was left.
    """
    with warehouse.transaction() as connection:
        connection.execute(text("select pg_advisory_xact_lock(hashtext(:table))"), {"table": ML_PROMOTIONS})
        yield
