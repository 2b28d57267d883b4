"""State of the running system in schema `ops`: the market and its clock, the catalogue, job runs, provider budgets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text

from models.backtest.plain import as_plain
from models.contracts.clock import MarketClock
from models.contracts.market import DataMode, SeriesSpec
from models.contracts.tables import OPS_JOB_RUNS, OPS_MARKET, OPS_PROVIDER_STATE, OPS_SERIES, OPS_VAULTS
from models.contracts.vault import VaultConfig
from orchestration.resources.database_errors import DatabaseError
from orchestration.resources.warehouse_records import MarketRow, ProviderState
from orchestration.resources.warehouse_tables import Tables


class Operations(Tables):
    """Methods over `ops`. Market time is passed in; only `updated_at` columns are the database's wall time."""

    def market(self) -> MarketRow | None:
        """The market this database belongs to; None before its first run."""
        with self.transaction() as connection:
            row = connection.execute(
                text(f"select name, data_mode, seed, clock_anchor, wall_anchor, clock_speed from {OPS_MARKET}")
            ).one_or_none()
        if row is None:
            return None
        clock = MarketClock(row.clock_anchor, row.wall_anchor, 1.0 if row.clock_speed is None else row.clock_speed)
        return MarketRow(row.name, DataMode(row.data_mode), row.seed, clock)

    def set_market(self, name: str, data_mode: DataMode, seed: int | None, clock: MarketClock) -> MarketRow:
        """Claim this database for a market; a later call returns what is there and leaves its clock alone.

        Raises DatabaseError if the database belongs to another market or another seed.
        """
        with self.transaction() as connection:
            connection.execute(
                text(
                    f"insert into {OPS_MARKET} (name, data_mode, seed, clock_anchor, wall_anchor, clock_speed) "
                    "values (:name, :mode, :seed, :anchor, :wall, :speed) on conflict (singleton) do nothing"
                ),
                {"name": name, "mode": data_mode.value, "seed": seed, **_clock_columns(clock)},
            )
        found = self.market()
        if found is None or (found.name, found.data_mode, found.seed) != (name, data_mode, seed):
            have = "no market" if found is None else f"market {found.name}, seed {found.seed}"
            raise DatabaseError(f"this database holds {have}, not {name}, seed {seed}: use another BALLAST_STATE")
        return found

    def clock(self) -> MarketClock:
        """The market's clock. Raises DatabaseError before the first run."""
        found = self.market()
        if found is None:
            raise DatabaseError("the market's clock is not set: play the market once first (make run)")
        return found.clock

    def set_clock(self, clock: MarketClock) -> None:
        """Start, stop or move the market's clock."""
        with self.transaction() as connection:
            done = connection.execute(
                text(f"update {OPS_MARKET} set clock_anchor = :anchor, wall_anchor = :wall, clock_speed = :speed"),
                _clock_columns(clock),
            )
            if done.rowcount != 1:
                raise DatabaseError("the market's clock is not set: play the market once first (make run)")

    def upsert_series(self, specs: Sequence[SeriesSpec], data_mode: DataMode) -> int:
        """Write the catalogue of series; returns how many there are to write."""
        rows = [
            {
                "id": s.id, "dataset": s.dataset.value, "interval": s.interval, "kind": s.kind.value,
                "calendar": s.calendar.value, "publication_lag_s": s.publication_lag_s, "max_age_s": s.max_age_s,
                "base": s.base, "quote": s.quote, "source": s.source, "scored": s.scored, "data_mode": data_mode.value,
            }
            for s in specs
        ]  # fmt: skip
        return self.upsert_table(OPS_SERIES, rows, keys=("dataset", "id", "interval")) if rows else 0

    def upsert_vaults(self, vaults: Sequence[VaultConfig]) -> None:
        """Write the vaults that this market keeps; those that are there and not among them are kept no more."""
        with self.transaction() as connection:
            for vault in vaults:
                connection.execute(
                    text(
                        f"insert into {OPS_VAULTS} (id, config, is_kept) values (:id, cast(:config as jsonb), true) "
                        "on conflict (id) do update set config = excluded.config, is_kept = true, "
                        "updated_at = clock_timestamp()"
                    ),
                    {"id": vault.id, "config": json.dumps(as_plain(vault))},
                )
            connection.execute(
                text(
                    f"update {OPS_VAULTS} set is_kept = false, updated_at = clock_timestamp() "
                    "where is_kept and id <> all(:ids)"
                ),
                {"ids": [vault.id for vault in vaults]},
            )

    def record_job_run(
        self,
        job: str,
        run_id: str,
        ok: bool,
        *,
        started_at: datetime,
        finished_at: datetime,
        market_time: datetime | None,
        error_text: str | None = None,
    ) -> None:
        """How a run of a job ended (wall times); a repeated run id replaces its row."""
        row = {
            "job": job, "run_id": run_id, "ok": ok, "error_text": error_text, "market_time": market_time,
            "started_at": started_at, "finished_at": finished_at,
        }  # fmt: skip
        self.upsert_table(OPS_JOB_RUNS, [row], keys=("job", "run_id"))

    def provider_state(self, provider: str) -> ProviderState:
        """Breaker and budget of a provider; a fresh state if it was never used."""
        with self.transaction() as connection:
            row = connection.execute(
                text(
                    "select provider, budget_window, budget_used, budget_limit, failures, open_until, last_error_kind "
                    f"from {OPS_PROVIDER_STATE} where provider = :provider"
                ),
                {"provider": provider},
            ).one_or_none()
        return ProviderState(provider) if row is None else ProviderState(*row)

    def save_provider_state(self, state: ProviderState) -> None:
        """Remember the state of the circuit. A budget that is counted already is left alone: only `spend_budget`
        counts, or calls that others spent meanwhile would be forgotten."""
        row = {name: getattr(state, name) for name in ProviderState.__slots__}
        names, values = ", ".join(row), ", ".join(f":{name}" for name in row)
        self.execute(
            f"insert into {OPS_PROVIDER_STATE} ({names}) values ({values}) on conflict (provider) do update set "
            "failures = excluded.failures, open_until = excluded.open_until, "
            "last_error_kind = excluded.last_error_kind, updated_at = clock_timestamp()",
            row,
        )

    def spend_budget(self, provider: str, window: str, limit: int, cost: int = 1) -> bool:
        """Take `cost` calls from the provider's budget of `window`, atomically; False (nothing taken) when spent. A
        negative `cost` gives calls back."""
        with self.transaction() as connection:
            done = connection.execute(
                text(f"""
                    insert into {OPS_PROVIDER_STATE} as p (provider, budget_window, budget_used, budget_limit)
                    select :provider, :window, greatest(:cost, 0), :limit where :cost <= :limit
                    on conflict (provider) do update set
                        budget_window = :window, budget_limit = :limit, updated_at = clock_timestamp(),
                        budget_used = greatest(
                            case when p.budget_window = :window then p.budget_used else 0 end + :cost, 0
                        )
                    where case when p.budget_window = :window then p.budget_used else 0 end + :cost <= :limit
                """),
                {"provider": provider, "window": window, "limit": limit, "cost": cost},
            )
            return done.rowcount == 1


def _clock_columns(clock: MarketClock) -> dict[str, object]:
    return {"anchor": clock.anchor, "wall": clock.wall_anchor, "speed": clock.speed}
