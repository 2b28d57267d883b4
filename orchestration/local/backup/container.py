"""The file of a backup: a tar whose members are hashed while they are written, and checked before they are used."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from orchestration.local.backup.manifest import NAME, BackupError, File, Manifest, read_manifest

_CHUNK = 1 << 20


class _Hashed:
    """A file that is hashed as it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        return data


class Writer:
    """Members of a backup that is being written. `files` has what the manifest must say of them."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self.files: dict[str, File] = {}

    def add(self, name: str, path: Path) -> None:
        """Raises BackupError if the file shrinks meanwhile."""
        with path.open("rb") as file:
            info = _member(name, os.fstat(file.fileno()).st_size)
            hashed = _Hashed(file)
            try:
                self._tar.addfile(info, hashed)
            except OSError as error:
                if "unexpected end of data" in str(error):
                    raise BackupError(f"{path} changed while it was copied: run again") from error
                raise
        self.files[name] = File(hashed.digest.hexdigest(), info.size)

    def finish(self, manifest: Manifest) -> None:
        text = manifest.as_json()
        self._tar.addfile(_member(NAME, len(text)), io.BytesIO(text))


def _member(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    return info


@contextmanager
def writing(target: Path) -> Iterator[Writer]:
    """A new file that is there whole or not at all; only its owner may read it. Raises BackupError, OSError."""
    if target.exists():
        raise BackupError(f"{target} exists already: a backup never replaces another")
    beside = target.with_name(f".{target.name}.partial")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                yield Writer(tar)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


def unpack(source: Path, into: Path) -> Manifest:
    """Check every member against the manifest and lay them out under `into`, an empty folder of our own.

    Raises BackupError for a file that is damaged, incomplete, or holds anything that no backup of ours holds.
    """
    found: dict[str, File] = {}
    manifest: Manifest | None = None
    try:
        with tarfile.open(source, mode="r:") as tar:
            for member in tar:
                if not _is_ours(member):
                    raise BackupError(f"{source} holds {member.name!r}, which no backup of ours holds")
                stream = tar.extractfile(member)
                assert stream is not None  # only files pass
                if member.name == NAME:
                    manifest = read_manifest(stream.read())
                else:
                    found[member.name] = _lay_out(stream, into / member.name)
    except (tarfile.TarError, EOFError) as error:
        raise BackupError(f"{source} is damaged or no backup ({error}): use another one") from error
    if manifest is None:
        raise BackupError(f"{source} has no {NAME}: it was never finished, use another one")
    for name in sorted(set(manifest.files) | set(found)):
        if found.get(name) != manifest.files.get(name):
            raise BackupError(f"{source} is damaged: {name} is not what its manifest says, use another one")
    return manifest


def _is_ours(member: tarfile.TarInfo) -> bool:
    parts = PurePosixPath(member.name).parts
    return member.isfile() and bool(parts) and not member.name.startswith("/") and ".." not in parts


def _lay_out(stream: IO[bytes], path: Path) -> File:
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with path.open("xb") as file:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            file.write(chunk)
    return File(digest.hexdigest(), size)
