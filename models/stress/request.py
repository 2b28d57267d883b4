"""What may be asked of a simulation, and the same with everything written out.

As in `models.backtest.request`: `REQUEST` is what a caller says, `Inputs` decides the result besides the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from models.backtest import request as backtest
from models.backtest.plain import as_plain
from models.backtest.request import Terms, check_asked, day_of, terms_of, vault_asked, vault_of
from models.contracts.vault import PolicyName, VaultConfig
from models.runs.fields import Choice, Day, Field, Number, read_all
from models.runs.plan import RequestError
from models.stress.request_fields import USUAL, ScenarioName, Shocks, plain_shocks, shocks_of

if TYPE_CHECKING:
    from models.stress.shock_base import Shock

HOUR, DAY = "hour", "day"
REGIMES = "regimes"
GENERATORS = ("scaled", "weighted", "both", "plain", REGIMES)
IN_PLACE, EVERYWHERE = "in_place", "everywhere"
LEAST_PATHS, PATHS, MOST_PATHS = 100, 10_000, 1_000_000
HORIZON_DAYS, MOST_DAYS = 30, 365


REQUEST: Mapping[str, Field] = {
    "vault_id": backtest.REQUEST["vault_id"],
    "policy": Choice("Policy of the keeper; the vault's own if left out", backtest.POLICIES),
    "limits": backtest.REQUEST["limits"],
    "paths": Number("Paths that are drawn", LEAST_PATHS, MOST_PATHS, PATHS, whole=True),
    "days": Number("Days of a path", 1, MOST_DAYS, HORIZON_DAYS, whole=True),
    "step": Choice("Step of a path; `hour` if left out and every leg has hourly closes, else `day`", (HOUR, DAY)),
    "generator": Choice(
        "Where returns come from. Blocks of the recorded ones, in which the present enters by their scale (`scaled`), "
        "by where they start (`weighted`), by both or not at all (`plain`); or `regimes`, which draws days",
        GENERATORS,
        "scaled",
    ),
    "start": Day("First day of the returns that are drawn from; 1,500 days of them if left out"),
    "end": Day("Last day of the returns that are drawn from; the last complete one if left out"),
    "shocks": Shocks(f"Shocks that come by chance: `{USUAL}`, or names with the fields that differ; none if left out"),
    "scenario": ScenarioName("Event of the library that every path meets"),
    "scenario_day": Number("Day of the path on which the scenario begins", 0, MOST_DAYS - 1, 1, whole=True),
    "scenario_reach": Choice(
        "`in_place`: one country's money and one stable coin are struck as they were; `everywhere`: all of their kind",
        (IN_PLACE, EVERYWHERE),
        IN_PLACE,
    ),
    "leverage": Number("Assets over own money of a holder who borrowed against shares; nobody if left out", 1.01, 20),
    "maintenance": Number("Equity over assets below which his lender sells", 0, 0.99, 0.0),
    "ruin_loss": Number("Loss of this share of the start at any close is ruin", 0.01, 0.99, 0.5),
    "half_spread_bps": backtest.REQUEST["half_spread_bps"],
    "slippage_bps": backtest.REQUEST["slippage_bps"],
    "latency_steps": Number("Steps from a decision to its fill", 1, 48, 1, whole=True),
    "seed": Number("Seed of the paths and of the shocks", 0, 2**53 - 1, 0, whole=True),
}


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything that decides a simulation besides its data. `start`, `end` None: until the data are known."""

    vault: VaultConfig
    terms: Mapping[str, Terms]
    paths: int
    days: int
    step: str
    generator: str
    start: date | None
    end: date | None
    shocks: Mapping[str, Shock]
    scenario: str | None
    scenario_day: int
    scenario_reach: str
    leverage: float | None
    maintenance: float
    ruin_loss: float
    half_spread_bps: float
    slippage_bps: float
    latency_steps: int
    seed: int

    @property
    def steps_per_day(self) -> int:
        return 24 if self.step == HOUR else 1

    @property
    def steps(self) -> int:
        """Of a path."""
        return self.days * self.steps_per_day

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; `of_dict` reads it back."""
        plain = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "shocks"}
        return {**as_plain(plain), "shocks": plain_shocks(self.shocks), "vault_id": self.vault.id}

    @classmethod
    def of_dict(cls, stored: Mapping[str, Any]) -> Inputs:
        """Inputs as they were stored with a run."""
        own = {field.name: stored[field.name] for field in fields(cls)}
        return cls(
            **own
            | {
                "vault": vault_of(stored["vault"]),
                "terms": terms_of(stored["terms"]),
                "start": day_of(stored["start"]),
                "end": day_of(stored["end"]),
                "shocks": shocks_of(stored["shocks"]),
            }
        )


def inputs_of(body: object, vaults: Mapping[str, tuple[VaultConfig, Mapping[str, Terms]]]) -> Inputs:
    """The request as inputs, defaults filled in and overrides applied.

    Parameters
    ----------
    body : the JSON object of `REQUEST`.
    vaults : what this market keeps, by id.

    Raises
    ------
    RequestError
        A field is unknown, missing or not valid, two do not fit each other, or the vault cannot be allocated.
    """
    said = read_all(REQUEST, body)
    vault, terms = vault_asked(said, vaults)
    vault = replace(vault, policy=PolicyName(said["policy"] or vault.policy.value))
    check_asked(vault)
    daily = sorted(series for series, own in terms.items() if own.interval_s > 3_600)
    step = said["step"] or (DAY if daily or said["generator"] == REGIMES else HOUR)
    if step == HOUR and daily:
        raise RequestError("step", f"{', '.join(daily)} has one close a day: ask for {DAY}")
    if step == HOUR and said["generator"] == REGIMES:
        raise RequestError("generator", f"{REGIMES} draws days: ask for step {DAY}, or for blocks")
    if said["scenario"] is not None and said["scenario_day"] >= said["days"]:
        raise RequestError("scenario_day", f"must lie within the path: at most {said['days'] - 1}")
    if said["leverage"] is not None and said["maintenance"] >= 1.0 / said["leverage"]:
        raise RequestError(
            "maintenance",
            f"must lie below 1 / leverage, {1.0 / said['leverage']:.3f}: otherwise the lender sells at the start",
        )
    rest = {name: said[name] for name in said if name not in ("vault_id", "limits", "policy", "step", "shocks")}
    return Inputs(vault=vault, terms=terms, step=step, shocks=said["shocks"] or {}, **rest)
