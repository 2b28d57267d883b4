"""A panel: several series of one kind on their own daily grids, as plain arrays.

Here belongs the step from rows of `features.volatility` to arrays. Candle features exist every hour; a panel holds
one hour of the day, so that a forecast at 13:00 is made from days that close at 13:00, by the same code as at midnight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.contracts.horizons import PROTOCOLS, RV_FLOOR, Protocol
from models.contracts.market import SeriesKind
from models.timeseries.realised import har_terms

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

REQUIRED_COLUMNS = ("series", "as_of", "rv", "ret")
OPTIONAL_COLUMNS = (
    "close", "is_held", "unchanged_share", "share_imputed", "neg_share", "jump_share", "rv_6h", "rv_12h",
    "parkinson", "garman_klass", "rogers_satchell", "atr_14", "ema_ratio", "vwap_gap", "volume_z", "premium",
    "premium_age_h", "funding_rate", "is_month_end",
)  # fmt: skip


class PanelError(ValueError):
    """The rows given are no panel: the message names the column and the way out."""


@dataclass(frozen=True)
class Grid:
    """One series on its daily grid.

    `as_of` (n,) datetime64[us] UTC without gaps for series that never close; `rv` (n,) variance a day, NaN = missing;
    `ret` (n,) log return over the day; `columns`: optional features (n,), all NaN where the source has none.
    `har` (n, 3): trailing means of rv at the protocol's lags; the newest day, when missing, is stood in for by
    the mean of the days around it.
    """

    series: str
    as_of: TimeArray
    rv: FloatArray
    ret: FloatArray
    columns: Mapping[str, FloatArray]
    har: FloatArray

    def __len__(self) -> int:
        return len(self.as_of)

    def rows_until(self, moment: np.datetime64) -> int:
        """Number of rows whose information closed at `moment` or before."""
        return int(np.searchsorted(self.as_of, moment, side="right"))


@dataclass(frozen=True, eq=False)  # a panel is equal to itself alone: what is made from it can be kept by it
class Panel:
    kind: SeriesKind
    grids: Mapping[str, Grid]

    @property
    def protocol(self) -> Protocol:
        return PROTOCOLS[self.kind]

    def only(self, *series: str) -> Panel:
        return Panel(self.kind, {name: self.grids[name] for name in series})


def utc(values: pd.Series | pd.DatetimeIndex) -> TimeArray:
    """Aware or naive-UTC timestamps -> (n,) datetime64[us]. The one place where pandas times become arrays."""
    index = pd.DatetimeIndex(values)
    naive = index.tz_convert("UTC").tz_localize(None) if index.tz is not None else index
    return naive.as_unit("us").to_numpy()


def aware(moment: np.datetime64) -> pd.Timestamp:
    return pd.Timestamp(moment).tz_localize("UTC")


def build_panel(rows: pd.DataFrame, kind: SeriesKind, hour: int = 0) -> Panel:
    """Panel of the rows that close at `hour` UTC (candles and vaults) or of all rows (rates).

    Raises
    ------
    PanelError
        A required column is missing, or a series has two rows for one moment.
    """
    missing = [name for name in REQUIRED_COLUMNS if name not in rows.columns]
    if missing:
        raise PanelError(f"columns {missing} are missing: give rows of features.volatility")
    frame = rows.assign(as_of=utc(rows["as_of"]))
    if kind in (SeriesKind.CANDLES, SeriesKind.VAULT):
        moments = pd.DatetimeIndex(frame["as_of"])
        frame = frame[(moments.hour == hour) & (moments.minute == 0)]
    frame = frame.sort_values(["series", "as_of"])
    repeated = frame[frame.duplicated(["series", "as_of"])]
    if len(repeated):
        first = repeated.iloc[0]
        raise PanelError(f"{first['series']} has two rows at {first['as_of']}: pass the latest revision only")
    grids = {str(name): _grid(str(name), part, kind) for name, part in frame.groupby("series", sort=True)}
    return Panel(kind, grids)


def _grid(series: str, part: pd.DataFrame, kind: SeriesKind) -> Grid:
    part = part.set_index("as_of")
    if kind is SeriesKind.CANDLES:  # a missing row is a missing day, not a shorter calendar
        part = part.reindex(pd.date_range(part.index[0], part.index[-1], freq="D", unit="us"))
    rv = np.maximum(_floats(part, "rv"), RV_FLOOR)
    har = har_terms(rv, PROTOCOLS[kind].har_lags)
    har[:, 0] = np.where(np.isnan(har[:, 0]), har[:, 1], har[:, 0])
    columns = {name: _floats(part, name) for name in OPTIONAL_COLUMNS}
    return Grid(series, utc(pd.DatetimeIndex(part.index)), rv, _floats(part, "ret"), columns, har)


def _floats(part: pd.DataFrame, name: str) -> FloatArray:
    if name not in part.columns:
        return np.full(len(part), np.nan)
    values = part[name]
    if values.dtype != np.float64:  # decimals, flags, integers with holes
        values = pd.to_numeric(values).astype("Float64")
    return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))
