"""Frames to COPY and COPY to frames, without rounding: text goes through as text, floats as their shortest spelling.

Here: pure conversion between pandas and PostgreSQL's CSV. Statements and transactions live in `warehouse_tables`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv


class FrameError(ValueError):
    """A frame does not fit its table; the message names the column. Nothing was written."""


# PostgreSQL type oid -> Arrow type. `numeric` is read as float64 for numpy's sake: cast to text where digits matter.
_ARROW_TYPES: Mapping[int, pa.DataType] = {
    16: pa.bool_(),
    20: pa.int64(), 21: pa.int64(), 23: pa.int64(),
    700: pa.float64(), 701: pa.float64(), 1700: pa.float64(),
    19: pa.string(), 25: pa.string(), 1042: pa.string(), 1043: pa.string(), 2950: pa.string(),
    1082: pa.date32(),
    1184: pa.timestamp("us", tz="UTC"),
}  # fmt: skip


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and np.isnan(value))


def _array_element(value: Any) -> str:
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _as_text(value: Any, column_type: str) -> str | None:
    if isinstance(value, (list, tuple, dict)):
        if column_type.endswith("[]"):
            return "{" + ",".join(_array_element(item) for item in value) + "}"
        return json.dumps(value, default=str, sort_keys=True)
    if _is_missing(value):
        return None
    if isinstance(value, np.generic):
        value = value.item()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _arrow_column(name: str, column: pd.Series[Any], column_type: str) -> pa.Array:
    if column_type.startswith("timestamp") and pd.api.types.is_datetime64_dtype(column.dtype):
        raise FrameError(f"column {name} holds times without a zone: pass aware UTC times")
    if column.dtype == object or column_type in ("jsonb", "json"):
        return pa.array([_as_text(value, column_type) for value in column], type=pa.string())
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        naive_utc = column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
        return pa.array(naive_utc).cast(pa.timestamp("ns" if naive_utc.dtype == "<M8[ns]" else "us", tz="UTC"))
    array = pa.array(column, from_pandas=True)  # NaN becomes null
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def to_csv(frame: pd.DataFrame, types: Mapping[str, str]) -> io.BytesIO:
    """The frame as headerless CSV for `copy ... with (format csv)`; missing values become null.

    `types` maps each column of the frame to its PostgreSQL type. Raises FrameError for times without a zone.
    """
    arrays = [_arrow_column(name, frame[name], types[name]) for name in frame.columns]
    table = pa.Table.from_arrays(arrays, names=list(frame.columns))
    buffer = io.BytesIO()
    pa_csv.write_csv(table, buffer, pa_csv.WriteOptions(include_header=False, quoting_style="needed"))
    buffer.seek(0)
    return buffer


def arrow_types(columns: Sequence[tuple[str, int]]) -> dict[str, pa.DataType] | None:
    """Arrow types of (name, oid) pairs; None when one of them (json, arrays) does not travel as plain CSV."""
    if any(oid not in _ARROW_TYPES for _, oid in columns) or len({name for name, _ in columns}) != len(columns):
        return None
    return {name: _ARROW_TYPES[oid] for name, oid in columns}


def from_csv(buffer: io.BytesIO, types: Mapping[str, pa.DataType]) -> pd.DataFrame:
    """A frame from headerless CSV of `copy (...) to stdout`; null is missing, an empty text stays an empty text."""
    if not buffer.getbuffer().nbytes:
        empty: pd.DataFrame = pa.schema(list(types.items())).empty_table().to_pandas()
        return empty
    table = pa_csv.read_csv(
        buffer,
        pa_csv.ReadOptions(column_names=list(types), use_threads=False),
        pa_csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),  # a lone NULL is an empty line
        pa_csv.ConvertOptions(
            column_types=dict(types),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        ),
    )
    frame: pd.DataFrame = table.to_pandas()
    return frame
