"""A Parquet file with a manifest beside it: written whole, read back, compared, and only then given its name.

A file of an archive is never changed and never written twice. Its manifest is written last: a file without one does not
count, and is written anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

FORMAT = 1
_CHUNK = 1 << 20
_MANIFEST = ".manifest.json"


class ArchiveError(RuntimeError):
    """The archive cannot be written or is not what its manifests say; nothing was deleted."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file. `path`: below the folder of the archive. `what`: where its rows come from, in words."""

    path: str
    what: str
    rows: int
    sha256: str
    made_at: str
    format: int = FORMAT


def is_there(folder: Path, name: str) -> bool:
    """Whether the archive has the file `name`, finished."""
    return (folder / f"{name}{_MANIFEST}").is_file()


def write(
    folder: Path,
    name: str,
    what: str,
    schema: pa.Schema,
    batches: Iterable[Sequence[tuple[Any, ...]]],
    made_at: datetime,
) -> Entry:
    """Write rows to `folder/name`, compare what can be read back with what was given, write the manifest.

    Raises ArchiveError when the file does not hold what was given; OSError.
    """
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.partial")
    given, rows = hashlib.sha256(), 0
    try:
        with pq.ParquetWriter(beside, schema, compression="zstd") as writer:
            for batch in batches:
                columns = list(zip(*batch, strict=True)) or [()] * len(schema)
                table = pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)
                writer.write_table(table)
                rows += len(batch)
                _feed(given, table.to_pylist())
        found, count = hashlib.sha256(), 0
        for stored in read_rows(beside):
            count += len(stored)
            _feed(found, stored)
        if (count, found.digest()) != (rows, given.digest()):
            raise ArchiveError(f"{path}: {count:,} rows were read back of {rows:,} written, or not the same: try again")
        entry = Entry(name, what, rows, _digest(beside), made_at.isoformat(timespec="seconds"))
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    manifest = path.with_name(f"{path.name}{_MANIFEST}")
    fresh = manifest.with_name(f".{manifest.name}.new")
    fresh.write_text(json.dumps(asdict(entry), indent=1), encoding="utf-8")
    fresh.replace(manifest)
    return entry


def read_rows(path: Path) -> Iterator[list[dict[str, Any]]]:
    """Rows of one file, a batch at a time."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches():
            yield batch.to_pylist()


def entries(folder: Path) -> list[Entry]:
    """What an archive holds, by path. Raises ArchiveError for a manifest that cannot be read."""
    found = []
    for path in sorted(folder.rglob(f"*{_MANIFEST}")):
        try:
            found.append(Entry(**json.loads(path.read_text(encoding="utf-8"))))
        except (ValueError, TypeError) as error:
            raise ArchiveError(f"{path} cannot be read ({type(error).__name__})") from error
    return found


def problem(folder: Path, entry: Entry) -> str | None:
    """What is wrong with a file of an archive, None if it is what its manifest says."""
    path = folder / entry.path
    if not path.is_file():
        return "is not there"
    if _digest(path) != entry.sha256:
        return "is not what its manifest says"
    return None


def _feed(digest: Any, rows: Iterable[dict[str, Any]]) -> None:
    for row in rows:
        digest.update(repr(tuple(row.values())).encode())


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
