"""What may be asked of a backtest, and the same with everything written out.

`REQUEST` is what a caller says. `Inputs` is what decides the result besides the data: the vault with its overrides,
the days, every default. API, command line and job all go through `inputs_of`, so one question is one run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

from models.allocation.policy import PolicyError, check_vault
from models.backtest.plain import as_plain
from models.contracts.runs import ScoreSource
from models.contracts.vault import PolicyName, VaultAsset, VaultConfig, VaultLimits
from models.runs.bounds import MOST_REPETITIONS, MOST_SHIFTS, REPETITIONS, SHIFTS
from models.runs.fields import Choice, Day, Field, Number, Part, Several, Text, read_all
from models.runs.plan import RequestError

HOLD, EQUAL_WEIGHT, INVERSE_VOLATILITY = "hold", "equal_weight", "inverse_volatility"
POLICIES = tuple(policy.value for policy in PolicyName)
BENCHMARKS = (HOLD, EQUAL_WEIGHT, INVERSE_VOLATILITY)
_SMALLEST = 1e-6  # where 0 itself makes no sense
_MONTH_S = 30 * 86_400

LIMITS: Mapping[str, Field] = {
    "enter_score": Number("Everything stable above this score", 0, 100),
    "leave_score": Number("Base weights again below this score; less than enter_score", 0, 100),
    "dead_zone": Number("Drift that is not worth a trade, share of the vault", 0, 1),
    "max_step": Number("Turnover of one action, share of the vault", _SMALLEST, 1),
    "max_turnover_day": Number("Turnover of 24 hours, share of the vault", _SMALLEST, 24),
    "cooldown_s": Number("Seconds between two actions", 0, _MONTH_S, whole=True),
    "max_score_age_s": Number("Seconds for which a score may be acted on", 0, _MONTH_S, whole=True),
    "max_share_imputed": Number("Share of filled inputs that is still trusted", 0, 1),
    "target_sigma_ann": Number("Volatility wanted by voltarget, annualised fraction", 0.01, 10),
    "max_exposure": Number("Most that voltarget holds, multiples of the base weights", _SMALLEST, 10),
    "dwell_scores": Number("Scores in a row that must ask for the same direction", 1, 1_000, whole=True),
    "cooldown_reduce_s": Number(
        "Seconds before a move into the stable leg; cooldown_s at most", 0, _MONTH_S, whole=True
    ),
    "min_benefit": Number("Change of one-day risk over cost that a move must reach; 0 for none", 0, 1_000),
    "cost_bps": Number("Cost of a swap that min_benefit reckons with, basis points", 0, 10_000, whole=True),
    "cost_usd": Number("Cost of a transaction that min_benefit reckons with, dollars", 0, 1e6),
    "max_action_usd": Number("Dollars of turnover in one action", _SMALLEST, 1e12),
    "max_day_usd": Number("Dollars of turnover in 24 hours", _SMALLEST, 1e12),
}
REQUEST: Mapping[str, Field] = {
    "vault_id": Text("Vault of the universe file, without `vault:`", r"[a-z][a-z0-9_-]{0,31}", "mixed", required=True),
    "policies": Several("Policies to run; the vault's own if left out", POLICIES),
    "benchmarks": Several("Strategies without a score to run beside them", BENCHMARKS, BENCHMARKS),
    "limits": Part("Limits that differ from the vault's", LIMITS),
    "scores": Choice(
        "`walk_forward`: what would have been published at each midnight, out of sample; `issued`: what was issued",
        tuple(source.value for source in ScoreSource),
        ScoreSource.WALK_FORWARD.value,
    ),
    "start": Day("First day whose return counts; as early as can be if left out"),
    "end": Day("Last day whose return counts; the last complete one if left out"),
    "half_spread_bps": Number("Half-spread of a swap, basis points", 0, 1_000, 5.0),
    "slippage_bps": Number("Slippage of a swap, basis points", 0, 1_000, 5.0),
    "latency_bars": Number("Bars from a decision to its fill", 1, 48, 1, whole=True),
    "placebo_shifts": Number("Circular shifts of each policy; 0 for none", 0, MOST_SHIFTS, SHIFTS, whole=True),
    "bootstrap_repetitions": Number("Resamples behind the intervals", 100, MOST_REPETITIONS, REPETITIONS, whole=True),
    "seed": Number("Seed of the bootstrap", 0, 2**53 - 1, 0, whole=True),
}
_EXACT = (
    "dead_zone", "max_step", "max_turnover_day", "max_exposure", "cost_usd", "max_price_gap", "max_action_usd",
    "max_day_usd",
)  # Decimal in the limits  # fmt: skip


@dataclass(frozen=True, slots=True)
class Terms:
    """How a series prices a leg: a close older than `max_age_s` is none; `interval_s` between two closes."""

    max_age_s: int
    interval_s: int


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything that decides a backtest besides its data. `terms`: by series of the legs; `start`, `end` None: as
    early, as late as can be, until the data are known."""

    vault: VaultConfig
    terms: Mapping[str, Terms]
    policies: tuple[PolicyName, ...]
    benchmarks: tuple[str, ...]
    scores: ScoreSource
    start: date | None
    end: date | None
    half_spread_bps: float
    slippage_bps: float
    latency_bars: int
    placebo_shifts: int
    bootstrap_repetitions: int
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; `of_dict` reads it back."""
        plain: dict[str, Any] = as_plain(self)
        return plain | {"vault_id": self.vault.id}

    @classmethod
    def of_dict(cls, stored: Mapping[str, Any]) -> Inputs:
        """Inputs as they were stored with a run."""
        return cls(
            vault=vault_of(stored["vault"]),
            terms=terms_of(stored["terms"]),
            policies=tuple(PolicyName(name) for name in stored["policies"]),
            benchmarks=tuple(stored["benchmarks"]),
            scores=ScoreSource(stored["scores"]),
            start=day_of(stored["start"]),
            end=day_of(stored["end"]),
            half_spread_bps=float(stored["half_spread_bps"]),
            slippage_bps=float(stored["slippage_bps"]),
            **{
                name: int(stored[name])
                for name in ("latency_bars", "placebo_shifts", "bootstrap_repetitions", "seed")
            },
        )  # fmt: skip


def inputs_of(body: object, vaults: Mapping[str, tuple[VaultConfig, Mapping[str, Terms]]]) -> Inputs:
    """The request as inputs, defaults filled in and overrides applied.

    Parameters
    ----------
    body : the JSON object of `REQUEST`.
    vaults : what this market keeps, by id.

    Raises
    ------
    RequestError
        A field is unknown, missing or not valid, or the vault cannot be allocated with these limits.
    """
    said = read_all(REQUEST, body)
    vault, terms = vault_asked(said, vaults)
    policies = tuple(PolicyName(name) for name in said["policies"] or (vault.policy.value,))
    for policy in policies:
        check_asked(replace(vault, policy=policy))
    rest = {name: said[name] for name in said if name not in ("vault_id", "limits", "policies", "scores")}
    return Inputs(vault=vault, terms=terms, policies=policies, scores=ScoreSource(said["scores"]), **rest)


def vault_asked(
    said: Mapping[str, Any], vaults: Mapping[str, tuple[VaultConfig, Mapping[str, Terms]]]
) -> tuple[VaultConfig, Mapping[str, Terms]]:
    """The vault that `vault_id` names, under the `limits` that differ, and the terms of its legs.

    Raises
    ------
    RequestError
        There is no such vault, or `start` lies after `end`.
    """
    if said["vault_id"] not in vaults:
        known = ", ".join(sorted(vaults)) or "none yet: run the pipeline once"
        raise RequestError("vault_id", f"this market keeps no vault {said['vault_id']!r}; there is: {known}")
    if said["start"] is not None and said["end"] is not None and said["start"] > said["end"]:
        raise RequestError("start", "must not lie after `end`")
    vault, terms = vaults[said["vault_id"]]
    changes = said["limits"] or {}
    exact = {name: Decimal(repr(changes[name])) for name in _EXACT if name in changes}
    return replace(vault, limits=replace(vault.limits, **changes | exact)), terms


def terms_of(stored: Mapping[str, Any]) -> dict[str, Terms]:
    """Terms by series from the JSON that `as_plain` makes of them."""
    return {series: Terms(**own) for series, own in stored.items()}


def day_of(stored: str | None) -> date | None:
    """A day from the JSON that `as_plain` makes of it."""
    return None if stored is None else date.fromisoformat(stored)


def vault_of(stored: Mapping[str, Any]) -> VaultConfig:
    """A vault from the JSON that `as_plain` makes of it."""
    assets = tuple(VaultAsset(**asset | {"base_weight": Decimal(asset["base_weight"])}) for asset in stored["assets"])
    limits: dict[str, Any] = {
        name: Decimal(value) if name in _EXACT and value is not None else value
        for name, value in stored["limits"].items()
    }
    if limits.get("allowed_models") is not None:
        limits["allowed_models"] = tuple(limits["allowed_models"])
    return VaultConfig(
        stored["id"], stored["network"], stored["contract"], assets,
        VaultLimits(**limits), PolicyName(stored["policy"]),
    )  # fmt: skip


def check_asked(vault: VaultConfig) -> None:
    """Raise RequestError, with the field, unless the vault can be allocated with these limits."""
    limits = vault.limits
    if not limits.leave_score < limits.enter_score:
        raise RequestError("limits.leave_score", f"must lie below enter_score, which is {limits.enter_score:g}")
    if not limits.dead_zone < limits.max_step:
        raise RequestError("limits.dead_zone", f"must lie below max_step, which is {limits.max_step}")
    if vault.policy is PolicyName.VOLATILITY_TARGET and limits.target_sigma_ann is None:
        raise RequestError(
            "limits.target_sigma_ann", "voltarget needs the volatility that is wanted, 0.5 for 50 % a year"
        )
    try:
        check_vault(vault)
    except PolicyError as error:
        named = str(error).removeprefix(f"vault {vault.id}: ").split()[0]
        raise RequestError(f"limits.{named}" if named in LIMITS else "vault_id", str(error)) from error
