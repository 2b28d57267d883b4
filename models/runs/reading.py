"""What a run reads of a market's database: vaults, closes, forecasts, scores.

The statements are text and are asked through a function of the caller, so that the API, the command line and the job
cannot read anything different. Nothing here knows a driver.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from models.backtest.bars import DAY_US
from models.backtest.comparison import Window
from models.backtest.market import Closes, Published, scores_of
from models.backtest.request import Terms, vault_of
from models.contracts.market import DataMode
from models.contracts.runs import ScoreSource
from models.contracts.score import PUBLISHED, Score, ScoreStatus
from models.contracts.tables import ML_WALK_FORWARD, OPS_MARKET, OPS_SERIES, OPS_VAULTS, RISK_SCORES
from models.contracts.vault import VaultConfig
from models.runs.bounds import MAX_HISTORY_DAYS
from models.stress.scenario_library import SCENARIOS

# A statement with `:name` parameters -> its rows.
Ask = Callable[[str, Mapping[str, Any]], Sequence[Mapping[str, Any]]]

_VAULTS = f"select id, config from {OPS_VAULTS} where is_kept order by id"
_TERMS = f"""
    select distinct on (id) id, max_age_s, interval from {OPS_SERIES}
    where id = any(:series) and (
        (dataset = 'candles' and interval = '1h')
        or (dataset = 'fx_rates' and interval = '1d' and kind in ('ranges', 'fixings'))
    ) order by id, dataset
"""
# The same closes that features believe, without those that are only carried. Numbers come as their bytes, both columns
# of a series in the same order, whichever that is: a tenth of the time that text takes. They are sorted here.
_CLOSES = """
    with known as (
        select series, ts + interval '1 hour' as as_of, close from features.bar_returns
        where series = any(:series) and is_observed and close > 0
        union all
        select series, as_of, close from features.rate_volatility
        where series = any(:series) and n_obs > 0 and close > 0
    )
    select series, string_agg(timestamptz_send(as_of), '') as as_of, string_agg(float8send(close), '') as close
    from known group by series
"""
_POSTGRES_EPOCH_US = 946_684_800_000_000  # 2000-01-01, from which the database counts microseconds
_WALK_FORWARD = f"""
    with evaluation as (
        select evaluation_id from {ML_WALK_FORWARD}
        where series = :series and horizon_days = 1 and model = :published
        order by recorded_at desc limit 1
    )
    select w.issued_at as as_of, w.score, w.p_spike, w.rv_forecast, w.var99, w.es99
    from {ML_WALK_FORWARD} as w join evaluation using (evaluation_id)
    where w.series = :series and w.horizon_days = 1 and w.model = :published order by w.origin
"""
_ISSUED = f"""
    select * from {RISK_SCORES} where subject = :series and horizon_days = 1 order by issued_at, id
"""
_MODE = f"select data_mode from {OPS_MARKET}"
_NUMBERS = ("score", "p_spike", "rv_forecast", "sigma_ann", "var99", "es99")
_SAME = (
    "subject", "horizon_days", "as_of", "issued_at", "valid_until", "model_name", "model_version", "share_imputed",
    "share_stale",
)  # fmt: skip
_INTERVALS_S = {"1h": 3_600, "1d": 86_400}


class StoredMarket:
    """`MarketData` of `models.backtest.standard` and of `models.stress.standard` over the tables of one market."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def vaults(self) -> dict[str, tuple[VaultConfig, Mapping[str, Terms]]]:
        """Vaults that the market keeps, with how their legs are priced; one with a leg of unknown terms is left out."""
        vaults = {row["id"]: vault_of(row["config"]) for row in self._ask(_VAULTS, {})}
        legs = {asset.series for vault in vaults.values() for asset in vault.assets if asset.series is not None}
        terms = {
            row["id"]: Terms(int(row["max_age_s"]), _INTERVALS_S[row["interval"]])
            for row in self._ask(_TERMS, {"series": sorted(legs)})
        }
        found: dict[str, tuple[VaultConfig, Mapping[str, Terms]]] = {}
        for name, vault in vaults.items():
            own = [asset.series for asset in vault.assets if asset.series is not None]
            if all(series in terms for series in own):
                found[name] = (vault, {series: terms[series] for series in own})
        return found

    def closes(self, series: Sequence[str]) -> dict[str, Closes]:
        """Closes of the last ten years, by series."""
        rows = {row["series"]: _by_time(row) for row in self._ask(_CLOSES, {"series": list(series)})}
        oldest = max((own.as_of_us[-1] for own in rows.values()), default=0) - MAX_HISTORY_DAYS * DAY_US
        recent = {name: own.as_of_us > oldest for name, own in rows.items()}
        return {
            name: Closes(own.as_of_us[recent[name]], own.close[recent[name]])
            for name, own in rows.items()
            if recent[name].any()
        }

    def events(self) -> list[Window]:
        """Dated events of the library of scenarios, oldest first; a simulated market has lived through none."""
        if self.mode() is DataMode.SIMULATED:
            return []
        return [Window(each.name, each.start, each.end) for each in SCENARIOS.values()]

    def mode(self) -> DataMode:
        """Whether this market is simulated, replayed or live."""
        return DataMode(self._ask(_MODE, {})[0]["data_mode"])

    def scores(self, vault_id: str, source: ScoreSource) -> list[Score]:
        """Scores of a vault, oldest first; empty where there is none."""
        mode = self.mode()
        subject = {"series": f"vault:{vault_id}"}
        if source is ScoreSource.WALK_FORWARD:
            rows = self._ask(_WALK_FORWARD, {**subject, "published": PUBLISHED})
            return scores_of(vault_id, [_published(row) for row in rows], mode)
        return [_issued(row) for row in self._ask(_ISSUED, subject)]


def _by_time(row: Mapping[str, Any]) -> Closes:
    as_of_us = np.frombuffer(row["as_of"], dtype=">i8").astype(np.int64) + _POSTGRES_EPOCH_US
    close = np.frombuffer(row["close"], dtype=">f8").astype(np.float64)
    order = np.argsort(as_of_us, kind="stable")
    return Closes(as_of_us[order], close[order])


def _published(row: Mapping[str, Any]) -> Published:
    return Published(
        row["as_of"], _number(row["score"]), _number(row["p_spike"]), float(row["rv_forecast"]), _number(row["var99"]),
        _number(row["es99"]),
    )  # fmt: skip


def _issued(row: Mapping[str, Any]) -> Score:
    values: dict[str, Any] = {name: row[name] for name in _SAME} | {name: _number(row[name]) for name in _NUMBERS}
    return Score(
        **values, status=ScoreStatus(row["status"]), reasons=tuple(row["reasons"]), data_mode=DataMode(row["data_mode"])
    )


def _number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else float(value)
