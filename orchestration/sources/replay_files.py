"""Recordings on disk: which files of a folder are market data, and their cells exactly as written.

Here: names, headers and decompression. What the cells mean is `replay_tables`; when they are known is `replay`.
Values stay text, so that no digit is lost on the way to `numeric`.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv

from models.contracts.market import Dataset

MISSING = ["", "nan", "NaN", "NAN", "NA", "N/A", "null", "NULL", "None"]


class ReplayFileError(ValueError):
    """A recording that cannot be played; the message names the file and, if one is to blame, the column."""

    def __init__(self, file: str, problem: str) -> None:
        super().__init__(f"{file}: {problem}")
        self.file = file


class FileKind(StrEnum):
    """Kinds of recordings, in the order in which their rows count as revisions of one another."""

    FX_DAILY = "fx_daily"
    FX_OHLC = "fx_daily_ohlc"
    FX_BAD_DATES = "fx_daily_bad_dates"
    FX_HOURLY = "fx_hourly"
    STREET = "fx_parallel"
    CANDLES = "candles"
    FUNDING = "funding"
    OPEN_INTEREST = "open_interest"
    VAULT = "vault_pps"


@dataclass(frozen=True, slots=True)
class Layout:
    kind: FileKind
    dataset: Dataset
    name: re.Pattern[str]  # of the path below the folder, without .csv or .csv.gz
    required: tuple[str, ...]


def _layout(kind: FileKind, dataset: Dataset, name: str, required: str) -> Layout:
    return Layout(kind, dataset, re.compile(name), tuple(required.split()))


_SUFFIX = r"(?:_[A-Za-z0-9_]+)?"  # fx_daily_2024, funding_okx
# The first match wins: special names stand before general ones.
LAYOUTS = (
    _layout(FileKind.FX_BAD_DATES, Dataset.FX_RATES, f"fx_daily_bad_dates{_SUFFIX}", "raw_date base quote rate source"),
    _layout(FileKind.FX_OHLC, Dataset.FX_RATES, f"fx_daily_ohlc{_SUFFIX}", "ts base quote open high low close source"),
    _layout(FileKind.FX_DAILY, Dataset.FX_RATES, f"fx_daily{_SUFFIX}", "ts base quote rate source"),
    _layout(FileKind.FX_HOURLY, Dataset.FX_RATES, f"fx_hourly{_SUFFIX}", "ts base quote rate committed_at source"),
    _layout(FileKind.STREET, Dataset.FX_RATES, f"fx_parallel{_SUFFIX}", "ts base quote market side rate"),
    _layout(
        FileKind.CANDLES,
        Dataset.CANDLES,
        r"candles_(?P<interval>\d+[mhd])(?:_(?P<suffix>[A-Za-z0-9_]+))?/(?P<stem>[A-Za-z0-9]+)",
        "ts open high low close",
    ),
    _layout(FileKind.FUNDING, Dataset.FUNDING, f"funding{_SUFFIX}", "ts exchange symbol funding_rate"),
    _layout(FileKind.OPEN_INTEREST, Dataset.OPEN_INTEREST, f"open_interest{_SUFFIX}", "ts exchange symbol interval"),
    _layout(FileKind.VAULT, Dataset.VAULT_SNAPSHOTS, f"vault_pps{_SUFFIX}", "ts vault_id pps"),
)


@dataclass(frozen=True, slots=True)
class Recording:
    """One file of a known layout. `size` and `modified_ns` tell a changed file from the one already read."""

    path: Path
    name: str  # below the folder, with its ending
    layout: Layout
    parts: tuple[tuple[str, str], ...]  # named parts of the name: interval, suffix, stem of candles
    size: int
    modified_ns: int

    def part(self, name: str) -> str:
        return dict(self.parts)[name]


def _stem(name: str) -> str | None:
    return next((name.removesuffix(end) for end in (".csv", ".csv.gz") if name.endswith(end)), None)


def _header(path: Path) -> list[str]:
    """The first line's columns; empty when the file has none that can be read (reading it will say why)."""
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", errors="replace") as lines:
            return next(csv.reader(lines), [])
    except (OSError, EOFError, zlib.error, csv.Error):
        return []


def _match(name: str, path: Path) -> tuple[Layout, Mapping[str, str | None]] | None:
    """By name first: a file named like a recording must be one. Else by the columns it has."""
    stem = _stem(name)
    if stem is None:
        return None
    for layout in LAYOUTS:
        if found := layout.name.fullmatch(stem):
            return layout, found.groupdict()
    if "/" in name:
        return None
    columns = set(_header(path))
    for layout in LAYOUTS:
        if layout.kind is not FileKind.CANDLES and columns.issuperset(layout.required):
            return layout, {}
    return None


def discover(directory: Path) -> tuple[tuple[Recording, ...], tuple[str, ...]]:
    """The recordings of a folder in the order of their kinds and names, and the tables it holds besides."""
    recordings: list[Recording] = []
    unused: list[str] = []
    for path in sorted([*directory.glob("*"), *directory.glob("candles_*/*")]):
        name = path.relative_to(directory).as_posix()
        if not path.is_file() or path.name.startswith("."):
            continue
        matched = _match(name, path)
        if matched is None:
            unused += [name] if _stem(name) else []
            continue
        layout, parts = matched
        stat = path.stat()
        named = tuple((key, value or "") for key, value in parts.items())
        recordings.append(Recording(path, name, layout, named, stat.st_size, stat.st_mtime_ns))
    kinds = list(FileKind)
    return tuple(sorted(recordings, key=lambda r: (kinds.index(r.layout.kind), r.name))), tuple(unused)


def read(recording: Recording) -> tuple[pd.DataFrame, list[str]]:
    """All rows as text (missing cells are null) in file order, and the lines with a wrong number of cells.

    Raises ReplayFileError when the file is truncated, not what its ending says, or lacks a column.
    """
    header = _header(recording.path)
    lacking = [c for c in recording.layout.required if c not in header]
    ragged: list[str] = []

    def keep(row: pa_csv.InvalidRow) -> str:
        ragged.append(row.text)
        return "skip"

    try:
        table = pa_csv.read_csv(
            recording.path,
            read_options=pa_csv.ReadOptions(use_threads=False),
            parse_options=pa_csv.ParseOptions(invalid_row_handler=keep),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=True, null_values=MISSING
            ),
        )
    except (OSError, pa.ArrowInvalid) as error:
        raise ReplayFileError(recording.name, f"cannot be read: {error}") from error
    if lacking:
        raise ReplayFileError(recording.name, f"column {lacking[0]!r} is missing; it has {', '.join(header) or 'none'}")
    named = [name for name in header if name]  # a comma at the end of each line makes a column without a name
    twice = next((name for name in named if named.count(name) > 1), None)
    if twice is not None:
        raise ReplayFileError(recording.name, f"column {twice!r} is there twice: which one counts cannot be known")
    return table.select(named).to_pandas(), ragged
