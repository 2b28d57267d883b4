"""A folder on a disk that can fill up or turn read-only at any moment, also for root: see `broken_disk.c`."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_SOURCE = Path(__file__).with_name("broken_disk.c")


@dataclass(frozen=True)
class BreakableDisk:
    """`root` is the disk. It breaks only for processes that are started with `variables`."""

    root: Path
    library: Path
    switch: Path

    @property
    def variables(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(self.library),
            "BROKEN_DISK_ROOT": str(self.root),
            "BROKEN_DISK_SWITCH": str(self.switch),
        }

    def turn(self, how: str) -> None:
        """`full` or `read-only`, until `heal`."""
        (self.switch / how).touch()

    def heal(self) -> None:
        for how in self.switch.iterdir():
            how.unlink()

    @contextmanager
    def being(self, how: str) -> Iterator[None]:
        self.turn(how)
        try:
            yield
        finally:
            self.heal()


def breakable_disk(folder: Path) -> BreakableDisk:
    """A disk under `folder`. Needs a C compiler, as the installation does."""
    disk = BreakableDisk(folder / "disk", folder / "broken_disk.so", folder / "switch")
    for made in (disk.root, disk.switch):
        made.mkdir()
        made.chmod(0o755)  # a server of another account looks at the switch, too
    command = ["cc", "-shared", "-fPIC", "-O1", "-o", str(disk.library), str(_SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    return disk
