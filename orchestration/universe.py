"""The universe file: loaded, validated as a whole, and turned into the vocabulary of `models.contracts`.

Here: rules across its sections, and which vaults a market can price. Not here: what a provider or a recording
holds (`orchestration.sources`), nor what a limit does (`models.allocation`, `keeper`).
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from models.contracts.market import DataMode, SeriesSpec
from models.contracts.vault import VaultAsset, VaultConfig
from orchestration.universe_schema import (
    WEIGHT_STEP,
    Calendars,
    LiveSeries,
    Part,
    Reconciliation,
    ReplayRules,
    SimulatedSeries,
    Template,
    VaultEntry,
)


class UniverseError(ValueError):
    """The universe file is wrong; the message names the file, the path of the field and what is expected."""


@dataclass(frozen=True, slots=True)
class VaultSelection:
    """The vaults that a market can price, and what had to be left out and why."""

    vaults: tuple[VaultConfig, ...]
    notes: tuple[str, ...]


class Universe(Part):
    """The validated file. `series_of` and `vaults` speak the vocabulary of `models.contracts`."""

    version: Literal[1]
    calendars: Calendars
    reconciliation: Reconciliation
    templates: dict[str, Template]
    simulated: SimulatedSeries
    live: LiveSeries
    replay: ReplayRules
    vault_entries: tuple[VaultEntry, ...] = Field(alias="vaults", min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Universe:
        for market in ("simulated", "live"):
            seen: set[tuple[str, str, str]] = set()
            for n, entry in enumerate(getattr(self, market).series):
                where = f"{market}.series.{n} ({entry.id})"
                if entry.template not in self.templates:
                    raise ValueError(f"{where}: template {entry.template!r} is not one of {sorted(self.templates)}")
                template = self.templates[entry.template]
                key = (template.dataset.value, entry.id, entry.interval or template.interval)
                if key in seen:
                    raise ValueError(f"{where}: listed twice with interval {key[2]}")
                seen.add(key)
            names = {name for _, name, _ in seen}
            for vault in self.vault_entries:
                if not any(names.intersection(a.series) for a in vault.assets):
                    raise ValueError(f"vaults ({vault.id}): no leg can be priced by a series of the {market} market")
        ids = [v.id for v in self.vault_entries]
        if len(set(ids)) < len(ids):
            raise ValueError(f"vaults: an id is listed twice in {ids}")
        contracts = [v.contract for v in self.vault_entries if v.contract is not None]
        if len(set(contracts)) < len(contracts):
            raise ValueError("vaults: two have one contract, so that each cap of it would count twice")
        return self

    def series_of(self, mode: DataMode) -> tuple[SeriesSpec, ...]:
        """The named series of the simulated or the live market; a replay takes what its folder holds."""
        listed = {DataMode.SIMULATED: self.simulated.series, DataMode.LIVE: self.live.series}.get(mode, ())
        return tuple(entry.spec(self.templates[entry.template]) for entry in listed)

    @cached_property
    def vaults(self) -> tuple[VaultConfig, ...]:
        """The vaults as the simulated market prices them; use `vaults_for` with the series of another market."""
        return self.vaults_for({s.id for s in self.series_of(DataMode.SIMULATED)}).vaults

    def vaults_for(self, series_ids: Collection[str]) -> VaultSelection:
        """Vaults with each leg priced by the first of its series that is in `series_ids`.

        A leg without one is left out and the other weights are scaled up to 1 (in steps of a basis point, the
        rounding goes to the stable leg); a vault without any risky leg is left out as a whole.
        """
        vaults: list[VaultConfig] = []
        notes: list[str] = []
        for entry in self.vault_entries:
            legs: list[VaultAsset] = []
            for asset in entry.assets:
                series = next((s for s in asset.series if s in series_ids), None)
                if series is None and not asset.stable:
                    notes.append(f"vault {entry.id}: leg {asset.symbol} left out, no series of {list(asset.series)}")
                    continue
                legs.append(asset.leg(series))
            if all(leg.stable for leg in legs):
                notes.append(f"vault {entry.id}: left out, this market prices none of its legs")
                continue
            limits = entry.limits.limits()
            vaults.append(VaultConfig(entry.id, entry.network, entry.contract, _scaled(legs), limits, entry.policy))
        return VaultSelection(tuple(vaults), tuple(notes))


def _scaled(legs: list[VaultAsset]) -> tuple[VaultAsset, ...]:
    total = sum((leg.base_weight for leg in legs), Decimal(0))
    if total == 1:
        return tuple(legs)
    risky = {leg.symbol: (leg.base_weight / total).quantize(WEIGHT_STEP) for leg in legs if not leg.stable}
    rest = 1 - sum(risky.values(), Decimal(0))
    return tuple(replace(leg, base_weight=risky.get(leg.symbol, rest)) for leg in legs)


class _StrictLoader(yaml.SafeLoader):
    """YAML keeps the last of two equal keys without a word; a repeated limit must be an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)


def load_universe(path: Path) -> Universe:
    """Read and validate the universe file.

    Raises UniverseError with one line for each wrong field: file, path of the field, what is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UniverseError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UniverseError(f"{path}: is not UTF-8 text") from error
    try:
        content = yaml.load(text, Loader=_StrictLoader)
    except yaml.YAMLError as error:
        raise UniverseError(f"{path}: is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UniverseError(f"{path}: is not a mapping of sections (version, templates, simulated, live, ...)")
    try:
        return Universe.model_validate(content)
    except ValidationError as error:
        lines = []
        for found in error.errors(include_url=False):
            field = ".".join(str(part) for part in found["loc"]) or "universe"
            lines.append(f"{path}: {field}: {found['msg'].removeprefix('Value error, ')}")
        raise UniverseError("\n".join(lines)) from error
