"""Histories changed where it must not matter, and the comparison of what was said of them before and after."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

KEY = ["series", "as_of"]
HOLE_ROWS = 3  # newest rows that a punched history lacks: more than any hole that is filled forward
SCALE = 7.0  # of a changed future: beyond what a clip or a robust mean forgives


def differences(before: pd.DataFrame, after: pd.DataFrame, tolerance: float = 0.0) -> tuple[int, int, str]:
    """Cells compared, cells that differ, and the first of them. NaN equals NaN; a row that one side lacks differs.

    Parameters
    ----------
    tolerance : share of the size of the two values plus the usual size (median) of their column
    """
    left, right = before, after
    alone = np.zeros(len(before), dtype=bool)
    if not _same_rows(before, after):
        left, right, alone = _aligned(before, after)
    columns = left.columns.drop(KEY)
    a, b = (frame[columns].astype("float64").to_numpy() for frame in (left, right))
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if tolerance and not same.all():
        size = np.where(np.isfinite(a), np.abs(a), 0.0)
        usual = np.array([np.median(part[part > 0]) if (part > 0).any() else 0.0 for part in size.T])
        with np.errstate(invalid="ignore"):
            same |= np.abs(a - b) <= tolerance * (size + usual)
    differ = ~same | alone[:, None]
    if not differ.any():
        return differ.size, 0, ""
    row, column = (int(axis[0]) for axis in np.nonzero(differ))
    series, as_of = left["series"].iloc[row], left["as_of"].iloc[row]
    told = "the row is there on one side only" if alone[row] else f"{a[row, column]:.9g} became {b[row, column]:.9g}"
    return differ.size, int(differ.sum()), f"{columns[column]} of {series} at {as_of:%Y-%m-%d %H:%M}: {told}"


def _same_rows(before: pd.DataFrame, after: pd.DataFrame) -> bool:
    return list(before.columns) == list(after.columns) and bool(
        np.array_equal(before["as_of"].to_numpy(), after["as_of"].to_numpy())
        and np.array_equal(before["series"].to_numpy(), after["series"].to_numpy())
    )


def _aligned(before: pd.DataFrame, after: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, BoolArray]:
    """Both frames over the rows and columns of either, and which rows only one of them had."""
    left, right = before.set_index(KEY).sort_index(), after.set_index(KEY).sort_index()
    rows, columns = left.index.union(right.index), left.columns.union(right.columns, sort=False)
    alone = ~(rows.isin(left.index) & rows.isin(right.index))
    a, b = (frame.reindex(index=rows, columns=columns).reset_index() for frame in (left, right))
    return a, b, np.asarray(alone)


def punched(rows: pd.DataFrame, cut: pd.Timestamp, width: int) -> pd.DataFrame:
    """`rows` whose newest `width` rows of each series up to `cut` have no values."""
    before = rows[rows["as_of"] <= cut].sort_values("as_of")
    return _gone(rows, rows.index.isin(before.groupby("series").tail(width).index))


def float_columns(rows: pd.DataFrame) -> list[str]:
    return [str(name) for name in rows.columns[rows.dtypes == np.float64]]


def _scaled(rows: pd.DataFrame, late: pd.Series | BoolArray) -> pd.DataFrame:
    """Another level, and returns of the other sign."""
    names = float_columns(rows)
    factors = np.array([-SCALE if name == "ret" else SCALE for name in names])
    return _with(rows, late, names, rows.loc[late, names].to_numpy() * factors)


def _reversed(rows: pd.DataFrame, late: pd.Series | BoolArray) -> pd.DataFrame:
    """The same values in the opposite order: another path to the same averages."""
    names = float_columns(rows)
    mirrored = rows[late].groupby("series", sort=False)[names].transform(lambda part: part.to_numpy()[::-1])
    return _with(rows, late, names, mirrored.to_numpy())


def _gone(rows: pd.DataFrame, late: pd.Series | BoolArray) -> pd.DataFrame:
    return _with(rows, late, float_columns(rows), np.nan)


def _with(
    rows: pd.DataFrame, late: pd.Series | BoolArray, names: list[str], values: FloatArray | float
) -> pd.DataFrame:
    out = rows.copy()
    out.loc[late, names] = values
    return out


CHANGES: Mapping[str, Callable[[pd.DataFrame, pd.Series], pd.DataFrame]] = {
    "scaled": _scaled,
    "reversed": _reversed,
    "taken away": _gone,
}
