"""The simulated market: the generator of `models.stress` under the market's clock, in rows of `raw.*`.

Every row says that it is simulated. Here: which series the generator plays, windows and names. The numbers are made
in `models.stress`; what is planted in them is listed by `models.stress.script.planted_events`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.contracts.market import COLUMNS, DataMode, Dataset, RateKind, SeriesKind, SeriesSpec, SourceRegime
from models.stress.market_simulator import COIN_TRAITS, CoinHours, MarketSimulator
from models.stress.rate_simulator import PAIR_TRAITS, RateSimulator
from models.stress.script import GENESIS, HISTORY_END
from models.stress.street_simulator import STREET_TRAITS, StreetSimulator
from orchestration.sources.interface import Answer, Fetch, Market
from orchestration.universe import Universe

PROVIDER = "simulator"
HOUR, DAY, SECOND = timedelta(hours=1), timedelta(days=1), timedelta(seconds=1)
_REGIMES = np.array([SourceRegime.FREE.value, SourceRegime.CAPPED.value, SourceRegime.DELISTED.value])


class SimulationError(ValueError):
    """The universe lists a simulated series that the generator does not play."""


class SimulatedMarket(Market):
    """The series of the universe's `simulated` section, played from one seed.

    Raises SimulationError when the generator knows no such coin, pair or street market.
    """

    mode = DataMode.SIMULATED
    name = "simulated"

    def __init__(self, universe: Universe, seed: int) -> None:
        self._specs = universe.series_of(DataMode.SIMULATED)
        days = universe.simulated.history_days
        self._start = GENESIS if days is None else max(GENESIS, HISTORY_END - days * DAY)
        self._coins = MarketSimulator(seed)
        self._rates = RateSimulator(seed, universe.calendars.fx_week.holidays)
        self._street = StreetSimulator(seed, self._rates)
        for spec in self._specs:
            key, known = _generator_key(spec)
            if key not in known:
                raise SimulationError(f"simulated.series ({spec.id}): the generator plays only {sorted(known)}")

    def series(self) -> Sequence[SeriesSpec]:
        return self._specs

    def history_start(self) -> datetime:
        return self._start

    def history_end(self) -> datetime:
        return HISTORY_END

    def fetch(
        self,
        dataset: Dataset,
        start: datetime | None,
        end: datetime,
        now: datetime,
        series: Sequence[str] | None = None,
    ) -> Fetch:
        offered = [spec for spec in self._specs if spec.dataset is dataset]
        wanted = [spec for spec in offered if series is None or spec.id in series]
        first = self._start if start is None else max(start, self._start)
        play = {
            Dataset.CANDLES: self._bars,
            Dataset.FUNDING: self._funding,
            Dataset.OPEN_INTEREST: self._open_interest,
        }.get(dataset, self._rate_rows)
        frames: list[pd.DataFrame] = []
        answers: list[Answer] = []
        for spec in wanted:
            rows = _identified(play(spec, *_window(spec, first, end, now)), spec, dataset)
            answers.append(Answer(PROVIDER, spec.id, len(rows), "ok"))
            frames += [rows] if len(rows) else []
        answers += [
            Answer(
                PROVIDER, name, 0, "failed", "unknown_symbol", f"the simulated market has no {dataset.value} of {name}"
            )
            for name in series or ()
            if name not in {spec.id for spec in offered}
        ]
        if frames:
            frame = pd.concat(frames, ignore_index=True).sort_values("ts", kind="stable", ignore_index=True)
        else:
            frame = pd.DataFrame(columns=list(COLUMNS[dataset]))
        return Fetch(frame, (), tuple(answers) or (Answer(PROVIDER, None, 0, "ok"),))

    def _hours(self, coin: str, first: datetime, last: datetime, step_hours: int = 1) -> CoinHours:
        hours = self._coins.hours(coin, _ceil(first, HOUR), _ceil(last, HOUR))
        return hours if step_hours == 1 else _every(hours, step_hours)

    def _bars(self, spec: SeriesSpec, first: datetime, last: datetime) -> pd.DataFrame:
        bars = self._hours(spec.id, first, last)
        columns = ("open", "high", "low", "close", "volume_base", "volume_quote", "trades")
        rows = pd.DataFrame({"ts": _moments(bars.hour, HOUR), **{name: getattr(bars, name) for name in columns}})
        return rows[bars.present]

    def _funding(self, spec: SeriesSpec, first: datetime, last: datetime) -> pd.DataFrame:
        hours = self._hours(spec.base, first, last, _hours_of(spec))
        return pd.DataFrame(
            {"ts": _moments(hours.hour, HOUR), "exchange": PROVIDER, "funding_rate": hours.funding_rate}
        )

    def _open_interest(self, spec: SeriesSpec, first: datetime, last: datetime) -> pd.DataFrame:
        hours = self._hours(spec.base, first, last, _hours_of(spec))
        rows = pd.DataFrame(
            {
                "ts": _moments(hours.hour, HOUR),
                "exchange": PROVIDER,
                "oi_base": hours.open_interest,
                "oi_usd": np.round(hours.open_interest * hours.open, 2),
            }
        )
        return rows[hours.present]

    def _rate_rows(self, spec: SeriesSpec, first: datetime, last: datetime) -> pd.DataFrame:
        return (self._adverts if spec.kind is SeriesKind.STREET else self._official)(spec, first, last)

    def _official(self, spec: SeriesSpec, first: datetime, last: datetime) -> pd.DataFrame:
        days = self._rates.days(spec.id, _ceil(first, DAY), _ceil(last, DAY))
        bars = ("open", "high", "low") if spec.kind is SeriesKind.RANGES else ()
        rows = pd.DataFrame(
            {"ts": _moments(days.day, DAY), "rate": days.close, **{name: getattr(days, name) for name in bars}}
        )
        rows = rows.assign(kind=RateKind.OFFICIAL.value, side="mid", source_regime=SourceRegime.FREE.value)
        return rows[days.present]

    def _adverts(self, spec: SeriesSpec, first: datetime, last: datetime) -> pd.DataFrame:
        slots = self._street.slots(spec.id, _ceil(first, SECOND), _ceil(last, SECOND))
        prices = ("rate", "low", "high", "bid", "ask", "vwap", "mode_price")
        return pd.DataFrame(
            {
                "ts": _moments(slots.second, SECOND),
                **{name: getattr(slots, name) for name in prices},
                "n_offers": slots.offers,
                "depth_base": slots.depth,
                "hhi": slots.concentration,
                "source_regime": _REGIMES[slots.regime],
            }
        ).assign(kind=RateKind.STREET.value, side="mid")


def _generator_key(spec: SeriesSpec) -> tuple[str, set[str]]:
    """What the generator calls a series, and all it could call one of this dataset."""
    if spec.dataset is Dataset.FX_RATES:
        return spec.id, set(STREET_TRAITS if spec.kind is SeriesKind.STREET else PAIR_TRAITS)
    if spec.dataset is Dataset.CANDLES:
        return (spec.id if spec.interval == "1h" else f"{spec.id} every {spec.interval}"), set(COIN_TRAITS)
    return spec.base, set(COIN_TRAITS) if spec.dataset is not Dataset.VAULT_SNAPSHOTS else set()


def _window(spec: SeriesSpec, first: datetime, end: datetime, now: datetime) -> tuple[datetime, datetime]:
    """The part of [first, end) that is known at `now`."""
    known_until = now - timedelta(seconds=spec.publication_lag_s) + timedelta(microseconds=1)
    return first, max(first, min(end, known_until))


def _ceil(moment: datetime, step: timedelta) -> int:
    """Number of the first step that does not begin before `moment`."""
    return -((GENESIS - moment) // step)


def _hours_of(spec: SeriesSpec) -> int:
    return pd.Timedelta(spec.interval) // pd.Timedelta(HOUR)


def _every(hours: CoinHours, step: int) -> CoinHours:
    pick = hours.hour % step == 0
    return CoinHours(*(getattr(hours, name)[pick] for name in CoinHours.__dataclass_fields__))


def _moments(steps: NDArray[np.int64], step: timedelta) -> pd.DatetimeIndex:
    origin = np.datetime64(GENESIS.replace(tzinfo=None), "us")
    return pd.DatetimeIndex(origin + steps * np.timedelta64(step // timedelta(microseconds=1), "us")).tz_localize("UTC")


def _identified(rows: pd.DataFrame, spec: SeriesSpec, dataset: Dataset) -> pd.DataFrame:
    """Rows with identity and provenance, in exactly the dataset's columns."""
    rows = rows.assign(
        series=spec.id,
        interval=spec.interval,
        base=spec.base,
        quote=spec.quote,
        source=spec.source,
        provider=PROVIDER,
        data_mode=DataMode.SIMULATED.value,
        available_at=rows["ts"] + pd.Timedelta(seconds=spec.publication_lag_s),
    ).reindex(columns=list(COLUMNS[dataset]))
    if dataset is Dataset.FX_RATES:
        rows["n_offers"] = rows["n_offers"].astype("Int64")
    return rows
