"""All that a devnet remembers, and the file it survives in.

The file is replaced as a whole (written beside, flushed, renamed), so a kill at any moment leaves the last complete
state. Empty ledgers are not written: `Chain` derives them from the time that passed.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from keeper.devnet.vault_model import Strategy, Token, VaultModel

FORMAT = 1
_EPOCH_S = 1_735_689_600


class StateError(RuntimeError):
    """The state file cannot be used; the message names it and the way out."""


@dataclass
class AccountModel:
    sequence: int
    balance: int


@dataclass
class Queued:
    envelope: str
    source: str
    sequence: int
    since_ledger: int


@dataclass
class Applied:
    """A transaction on the ledger, as `getTransaction` tells it."""

    ledger: int
    closed_s: int
    order: int
    success: bool
    envelope: str
    result: str
    meta: str
    diagnostics: list[str]
    events: list[str] = field(default_factory=list)  # contract events, XDR
    fee_bump: bool = False


@dataclass
class ChainState:
    seed: int
    ledger: int
    close_time_s: int
    wall_s: float  # when this state was current; what passed since then passed in empty ledgers
    first_ledger: int
    closes: list[tuple[int, int]] = field(default_factory=list)  # (ledger, close time), a sample
    accounts: dict[str, AccountModel] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    vaults: dict[str, VaultModel] = field(default_factory=dict)
    queue: dict[str, Queued] = field(default_factory=dict)  # by hash, one per source
    banned: dict[str, int] = field(default_factory=dict)  # hash -> last ledger of the ban
    applied: dict[str, Applied] = field(default_factory=dict)


def genesis(seed: int, now_s: float) -> ChainState:
    """A chain that begins at `now_s`, Unix seconds."""
    # Two ledgers a second since 2025: a chain that is begun anew starts beyond every older one, so what a keeper
    # remembers of the old one never looks like a node that lags.
    close = math.floor(now_s)
    first = max(1_000, (close - _EPOCH_S) * 2)
    return ChainState(seed, first, close, now_s, first, closes=[(first, close)])


def load(path: Path) -> ChainState | None:
    """State in `path`, None if there is none. Raises StateError if the file is not one of ours."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StateError(f"{path} is not a devnet state; move it away to start a new chain") from error
    if not isinstance(raw, dict) or raw.pop("format", None) != FORMAT:
        raise StateError(f"{path} has another format than {FORMAT}; move it away to start a new chain")
    try:
        return _state(raw)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise StateError(f"{path} is incomplete ({type(error).__name__}); move it away to start a new chain") from error


def _state(raw: dict[str, Any]) -> ChainState:
    vaults = {
        address: VaultModel(**{**v, "strategies": {a: Strategy(**s) for a, s in v["strategies"].items()}})
        for address, v in raw.pop("vaults").items()
    }
    return ChainState(
        vaults=vaults,
        closes=[(ledger, close) for ledger, close in raw.pop("closes")],
        accounts={a: AccountModel(**v) for a, v in raw.pop("accounts").items()},
        tokens={a: Token(**v) for a, v in raw.pop("tokens").items()},
        queue={h: Queued(**v) for h, v in raw.pop("queue").items()},
        applied={h: Applied(**v) for h, v in raw.pop("applied").items()},
        **raw,
    )


def save(path: Path, state: ChainState) -> None:
    """Replace the file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.new")
    with beside.open("w", encoding="utf-8") as file:
        json.dump({"format": FORMAT, **asdict(state)}, file, separators=(",", ":"))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
