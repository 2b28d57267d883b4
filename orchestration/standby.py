"""Who speaks where a champion cannot: the ladder of scoring. Champion, else a baseline, else nobody.

A baseline is taken as it was stored at a promotion, and only if its files are those of then: the one beside the
champion, else the newest one of an earlier version. An earlier champion is never taken: it may have gone for a reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.contracts.score import Role, Rung
from models.validation.ledger import TRAINED, Action, Entry
from models.volatility.bundle import Bundle, load_bundle
from models.volatility.members import BASELINES
from orchestration.resources.model_registry import BundleError, ModelRegistry, Version

SHADOW = "shadow"  # folder of a bundle with one bundle for each role that is not served


@dataclass(frozen=True, slots=True)
class Speaker:
    """A bundle with its version and rung. `why`: the champion's fault where another speaks; empty if it speaks."""

    bundle: Bundle
    version: Version
    rung: Rung
    why: str = ""


def version_of(entry: Entry) -> Version:
    """The version that an entry of the ledger speaks of, with the place and hash of its bundle where it names them."""
    seen = entry.evidence
    return Version(
        entry.model_name,
        entry.model_version,
        str(seen.get("mlflow_run_id") or ""),
        str(seen.get("evaluation_id") or ""),
        entry.algorithm,
        str(seen.get("bundle") or ""),
        str(seen.get("bundle_hash") or ""),
    )


def speaker(registry: ModelRegistry, champion: Entry, entries: Sequence[Entry]) -> Speaker:
    """The first of the ladder whose files can be trusted. Raises BundleError, the champion's, where none can."""
    version = version_of(champion)
    try:
        rung = Rung.BASELINE if champion.action is Action.FELL_BACK else Rung.CHAMPION
        return Speaker(load_bundle(registry.bundle(version)), version, rung)
    except BundleError as fault:
        for other, folder in _baselines(registry, champion, entries):
            return Speaker(load_bundle(folder), other, Rung.BASELINE, str(fault))
        raise


def _baselines(registry: ModelRegistry, champion: Entry, entries: Sequence[Entry]) -> Iterator[tuple[Version, Path]]:
    """Baselines that can be read: the champion's own, then those of earlier versions, newest first."""
    before = [e for e in entries if e.model_name == champion.model_name and e.action in TRAINED and e.id < champion.id]
    for entry in (champion, *reversed(before)):
        version = version_of(entry)
        digest = dict(entry.evidence.get("shadow_hashes") or {}).get(Role.BASELINE.value)
        try:
            if digest:
                yield version, registry.part(version, f"{SHADOW}/{Role.BASELINE.value}", digest)
            elif entry is not champion and entry.algorithm in BASELINES:
                yield version, registry.bundle(version)
        except BundleError:
            continue
