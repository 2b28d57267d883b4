"""Which market is played: simulated, a folder of recordings or live. Each is a workspace of its own."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from models.contracts.market import DataMode
from orchestration.configuration.values import SettingsError


@dataclass(frozen=True, slots=True)
class MarketChoice:
    """`simulated`, `replay:DIR`, `replay:DIR@DATE` or `live`; `slug` names its databases and state folder.

    With a date the clock of a replay stands at the start of that day (UTC): later rows are not known yet.

    Each market is a workspace of its own (databases, registry, chain): a model trained on a simulated
    market can then never score a live one.
    """

    mode: DataMode
    directory: Path | None
    slug: str
    until: datetime | None = None

    @property
    def name(self) -> str:
        if self.directory is None:
            return self.mode.value
        return f"replay:{self.directory}" + (f"@{self.until:%Y-%m-%d}" if self.until else "")


def parse_market(text: str) -> MarketChoice:
    if text in ("simulated", "live"):
        return MarketChoice(DataMode(text), None, text)
    if text.startswith("replay:") and len(text) > len("replay:"):
        return _parse_replay(text.removeprefix("replay:"))
    raise SettingsError(f"BALLAST_MARKET: {text!r} is not simulated, replay:DIR, replay:DIR@YYYY-MM-DD or live")


def _parse_replay(text: str) -> MarketChoice:
    dated = re.fullmatch(r"(.+)@(\d{4}-\d{2}-\d{2})", text)
    folder, day = (dated[1], dated[2]) if dated else (text, None)
    directory = Path(folder).expanduser().resolve()
    if not directory.is_dir():
        raise SettingsError(f"BALLAST_MARKET: replay folder {directory} does not exist")
    try:
        until = datetime.fromisoformat(f"{day}T00:00+00:00") if day else None
    except ValueError:
        raise SettingsError(f"BALLAST_MARKET: {day} is not a date") from None
    stem = re.sub(r"[^a-z0-9]+", "_", directory.name.lower()).strip("_")[:16]
    # Folders of one name must not share a workspace, and neither must two moments of one folder.
    identity = hashlib.sha256(f"{directory}@{day}".encode() if day else str(directory).encode()).hexdigest()[:6]
    return MarketChoice(DataMode.REPLAY, directory, f"replay_{stem}_{identity}", until)
