"""A market played back from a folder of recordings, under its own clock and with all its warts.

Any subset of the files, any coins and currencies, any period. A file that cannot be read is a failed Answer of its
dataset; the others still play. Sentiment, protocol metrics and wire bodies of a folder are not played: no dataset
takes them yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from models.contracts.market import DataMode, Dataset, SeriesKind, SeriesSpec
from orchestration.sources.interface import Answer, Fetch, Market
from orchestration.sources.replay_files import FileKind, Recording, ReplayFileError, discover, read
from orchestration.sources.replay_tables import (
    PlacedReject,
    complete,
    funding_intervals,
    interval_seconds,
    rows_of,
    without_repeated_closes,
)
from orchestration.universe import Universe
from orchestration.universe_schema import ReplayKind, ReplayRules

PROVIDER = "replay"
_SATURDAY = 5


class ReplayError(ValueError):
    """The folder as a whole cannot be a market; the message says what it lacks."""


@dataclass(frozen=True, slots=True)
class _Table:
    """All recordings of one dataset, ordered by ts (rows of one moment in file order)."""

    frame: pd.DataFrame
    ts: np.ndarray  # int64 microseconds, ascending
    rejects: tuple[PlacedReject, ...]
    errors: tuple[ReplayFileError, ...]


def _microseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@lru_cache(maxsize=2 * len(Dataset))
def _table(
    dataset: Dataset, recordings: tuple[Recording, ...], rules: ReplayRules, today: datetime | None = None
) -> _Table:
    """Read once a process; a file that changes is another recording and read anew."""
    frames: list[pd.DataFrame] = []
    rejects: list[PlacedReject] = []
    errors: list[ReplayFileError] = []
    for recording in recordings:
        try:
            rows = rows_of(recording, *read(recording), rules, today)
        except ReplayFileError as error:
            errors.append(error)
            continue
        rows.frame["file_kind"] = recording.layout.kind
        frames.append(rows.frame)
        rejects += rows.rejects
    frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame({"ts": pd.DatetimeIndex([], tz="UTC")})
    if dataset is Dataset.FX_RATES and len(frame):
        frame = without_repeated_closes(frame, FileKind.FX_DAILY, FileKind.FX_OHLC)
    if dataset is Dataset.FUNDING and len(frame):
        frame["interval"] = funding_intervals(frame)
    frame = frame.sort_values("ts", kind="stable", ignore_index=True)
    for name in ("series", "interval", "source", "base", "quote", "kind", "side", "exchange", "file_kind"):
        if name in frame:
            frame[name] = frame[name].astype("category")
    ts = frame["ts"].to_numpy("datetime64[us]").astype(np.int64)
    return _Table(frame, ts, tuple(sorted(rejects, key=lambda r: r.ts)), tuple(errors))


class ReplayMarket(Market):
    """See the module. `unused` names the tables of the folder that are not played. `today`: the wall's day; rows that
    are dated far beyond it are typing errors."""

    mode = DataMode.REPLAY

    def __init__(
        self, directory: Path, universe: Universe, until: datetime | None = None, today: datetime | None = None
    ) -> None:
        self.name = f"replay:{directory}"
        self._until, self._today = until, today
        self._rules = universe.replay
        self._recordings, self.unused = discover(directory)
        if not self._recordings:
            raise ReplayError(f"{directory}: holds no recording (fx_daily.csv, candles_1h/COIN.csv, ...)")

    def _read(self, dataset: Dataset) -> _Table:
        mine = tuple(r for r in self._recordings if r.layout.dataset is dataset)
        return _table(dataset, mine, self._rules, self._today)

    def _read_all(self) -> dict[Dataset, _Table]:
        return {dataset: self._read(dataset) for dataset in Dataset}

    def series(self) -> Sequence[SeriesSpec]:
        return tuple(spec for dataset, table in self._read_all().items() for spec in self._specs(dataset, table.frame))

    def _specs(self, dataset: Dataset, frame: pd.DataFrame) -> list[SeriesSpec]:
        if frame.empty:
            return []
        grouped = frame.groupby(["series", "interval"], observed=True, sort=True)
        return [self._spec(dataset, str(name), str(interval), rows) for (name, interval), rows in grouped]

    def _spec(self, dataset: Dataset, name: str, interval: str, rows: pd.DataFrame) -> SeriesSpec:
        kind, rules = self._kind(dataset, rows)
        length_s = interval_seconds(interval)
        scored = rules.min_rows_scored is not None and len(rows) >= rules.min_rows_scored
        if dataset is Dataset.CANDLES:
            spot = self._rules.scored_candles
            scored &= interval == spot.interval and name.partition(":")[2] in spot.suffixes
        return SeriesSpec(
            id=name,
            dataset=dataset,
            kind=kind,
            calendar=rules.calendar,
            interval=interval,
            publication_lag_s=rules.publication_lag_s + (length_s if rules.known_from == "close" else 0),
            max_age_s=rules.max_age_intervals * length_s,
            base=str(rows["base"].iloc[0]),
            quote=str(rows["quote"].iloc[0]),
            source=str(rows["source"].iloc[0]),
            providers=(PROVIDER,),
            scored=scored,
        )

    def _kind(self, dataset: Dataset, rows: pd.DataFrame) -> tuple[SeriesKind, ReplayKind]:
        kinds, files = self._rules.kinds, set(rows["file_kind"])
        if dataset is Dataset.FX_RATES:
            if FileKind.FX_OHLC in files:
                return SeriesKind.RANGES, kinds.ranges
            if FileKind.FX_HOURLY in files:
                return SeriesKind.FIXINGS, kinds.hourly_rates
            if FileKind.STREET in files:
                return SeriesKind.STREET, kinds.street_weekdays if self._weekdays_only(rows["ts"]) else kinds.street
            return SeriesKind.FIXINGS, kinds.fixings
        return {
            Dataset.CANDLES: (SeriesKind.CANDLES, kinds.candles),
            Dataset.FUNDING: (SeriesKind.CANDLES, kinds.funding),
            Dataset.OPEN_INTEREST: (SeriesKind.CANDLES, kinds.open_interest),
            Dataset.VAULT_SNAPSHOTS: (SeriesKind.VAULT, kinds.vault),
        }[dataset]

    def _weekdays_only(self, ts: pd.Series) -> bool:
        spanned = ts.max() - ts.min() >= timedelta(days=self._rules.weekdays_after_days)
        return bool(spanned and (ts.dt.day_of_week < _SATURDAY).all())

    def history_start(self) -> datetime:
        """First hourly bar of a coin; without one, the first rate; without any, the first row of anything."""
        bars = self._read(Dataset.CANDLES).frame
        hourly = bars.loc[bars["interval"] == "1h", "ts"] if len(bars) else bars["ts"]
        tables = self._read_all() if hourly.empty else {}
        for ts in (hourly, *(table.frame["ts"] for table in tables.values())):
            if len(ts):
                return pd.Timestamp(ts.iloc[0]).floor("h").to_pydatetime()
        raise self._nothing()

    def history_end(self) -> datetime:
        """The first full hour at which every row of the folder is known, or the moment asked for."""
        if self._until is not None:
            return self._until
        newest = [t.frame["available_at"].max() for t in self._read_all().values() if len(t.frame)]
        if not newest:
            raise self._nothing()
        return pd.Timestamp(max(newest)).ceil("h").to_pydatetime()

    def _nothing(self) -> ReplayError:
        """Why no row can be played: the files that cannot be read, else the first row that is none, else no rows."""
        rejects = [placed.reject for table in self._read_all().values() for placed in table.rejects]
        why = [str(error) for error in self.problems()]
        why += [f"{len(rejects)} rows refused, first {r.series}: {r.reason}: {r.detail}" for r in rejects[:1]]
        return ReplayError(f"{self.name}: no row can be played; {'; '.join(why) or 'the files hold headers only'}")

    def problems(self) -> tuple[ReplayFileError, ...]:
        """The files that cannot be played."""
        return tuple(error for table in self._read_all().values() for error in table.errors)

    def fetch(
        self,
        dataset: Dataset,
        start: datetime | None,
        end: datetime,
        now: datetime,
        series: Sequence[str] | None = None,
    ) -> Fetch:
        table = self._read(dataset)
        low = 0 if start is None else int(np.searchsorted(table.ts, _microseconds(start)))
        window = table.frame.iloc[low : int(np.searchsorted(table.ts, _microseconds(end)))]
        answers = [Answer(PROVIDER, None, 0, "failed", "bad_file", str(error)) for error in table.errors]
        if len(window):
            window = window[window["available_at"] <= now]
        if series is not None:
            offered = set(table.frame["series"].cat.categories) if len(table.frame) else set()
            window = window[window["series"].isin(series)] if len(window) else window
            answers += [
                Answer(PROVIDER, name, 0, "failed", "unknown_symbol", f"{self.name} has no {dataset.value} of {name}")
                for name in series
                if name not in offered
            ]
        rejects = tuple(
            placed.reject
            for placed in table.rejects
            if (start is None or placed.ts >= start)
            and placed.ts < end
            and placed.available_at <= now
            and (series is None or placed.reject.series in series)
        )
        if len(window):
            counts = window["series"].astype(str).value_counts().sort_index()
            answers += [Answer(PROVIDER, str(name), int(rows), "ok") for name, rows in counts.items()]
        return Fetch(_as_table(window, dataset), rejects, tuple(answers) or (Answer(PROVIDER, None, 0, "ok"),))


def _as_table(window: pd.DataFrame, dataset: Dataset) -> pd.DataFrame:
    frame = complete(window, dataset).reset_index(drop=True)
    for name in frame.columns[frame.dtypes == "category"]:
        frame[name] = frame[name].astype("str")
    return frame.assign(provider=PROVIDER, data_mode=DataMode.REPLAY.value)
