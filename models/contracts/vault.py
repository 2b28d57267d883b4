"""Vocabulary of vaults: configuration, state, limits, and the targets that scoring writes and the keeper reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class PolicyName(StrEnum):
    """Rules that turn a score into a target (`models.allocation.policy`). Written in the universe file.

    The volatility target is the default because it dominates the other rule where both were tried: the same return
    given up, more of the tail avoided (docs/backtest.md)."""

    ON_OFF = "onoff"  # base weights, or everything in the stable leg above the score
    VOLATILITY_TARGET = "voltarget"  # base weights scaled down so that the forecast volatility is the wanted one


class PolicyState(StrEnum):
    """Two-state memory of the on/off rule: hysteresis needs to know which side it is on. Under the volatility target
    RISK_OFF says that the vault holds less than its base weights."""

    RISK_ON = "risk_on"
    RISK_OFF = "risk_off"


@dataclass(frozen=True, slots=True)
class VaultAsset:
    """One leg of a vault. `series` prices and scores it; None for the stable leg. `invert`: price is 1 / rate,
    as for a token of the quote currency (cNGN is worth 1 / USDNGN dollars). `contract`: token address on chain, None
    where the network derives it from the symbol (the devnet). `decimals`: base units are 10 ** -decimals."""

    symbol: str
    series: str | None
    base_weight: Decimal
    stable: bool = False
    invert: bool = False
    contract: str | None = None
    decimals: int = 7


@dataclass(frozen=True, slots=True)
class VaultLimits:
    """Every bound of the policy and the keeper, each with its reason in the universe file."""

    enter_score: float = 80.0
    leave_score: float = 70.0
    dead_zone: Decimal = Decimal("0.02")  # smaller total drift is not worth a transaction
    max_step: Decimal = Decimal("0.50")  # turnover in one action, share of the vault
    max_turnover_day: Decimal = Decimal("1.00")
    cooldown_s: int = 6 * 3600
    max_score_age_s: int = 2 * 3600
    max_share_imputed: float = 0.25
    max_slippage_bps: int = 100
    max_fee_stroops: int = 10_000_000
    target_sigma_ann: float | None = None  # volatility target only: annualised volatility wanted of the vault, fraction
    max_exposure: Decimal = Decimal(1)  # volatility target only: most that may be held, in multiples of base weights
    dwell_scores: int = 1  # scores in a row that must ask for a move of the same direction; 1 = the first is enough
    cooldown_reduce_s: int | None = None  # cooldown before a move into the stable leg; None = cooldown_s, 0 = none
    min_benefit: float = 0.0  # expected fall or rise of one-day risk over expected cost; 0 = not asked
    cost_bps: int = 40  # expected cost of a swap, 1e-4 of what is swapped: a pair's fee of 30 and 10 of slippage
    cost_usd: Decimal = Decimal("0.25")  # expected cost of a transaction besides its swaps
    max_price_gap: Decimal | None = None  # relative gap between two price sources; None = one source is enough
    max_action_usd: Decimal | None = None  # dollars of turnover in one action; None = only max_step
    max_day_usd: Decimal | None = None  # dollars of turnover in 24 hours; None = only max_turnover_day
    allowed_models: tuple[str, ...] | None = None  # model versions whose scores may act; None = any


@dataclass(frozen=True, slots=True)
class VaultConfig:
    """A vault as the universe file describes it. `network`: devnet, testnet or public. `policy`: its rule."""

    id: str
    network: str
    contract: str | None
    assets: tuple[VaultAsset, ...]
    limits: VaultLimits
    policy: PolicyName = PolicyName.VOLATILITY_TARGET


@dataclass(frozen=True, slots=True)
class Target:
    """What the policy wants of a vault at one score: weights by symbol that sum to 1, and why.

    `usable` False: the score was missing, stale or degraded; the target repeats the last state and nothing may move.
    `sigma_ann`: annualised volatility that the score forecasts of the base weights, fraction; None = not said.
    """

    vault_id: str
    as_of: datetime
    state: PolicyState
    weights: Mapping[str, Decimal]
    reasons: tuple[str, ...]
    score: float | None
    policy_version: str
    usable: bool = True
    sigma_ann: float | None = None


class Verdict(StrEnum):
    """HOLD: nothing to do, or not now. REFUSE: something is wrong and acting would be unsafe."""

    REBALANCE = "rebalance"
    HOLD = "hold"
    REFUSE = "refuse"


class Reason(StrEnum):
    """Why a target or a decision is what it is. Stored as text, so a member is never renamed."""

    # of the policy
    SCORE_ABOVE_ENTER = "score_above_enter"
    SCORE_BELOW_LEAVE = "score_below_leave"
    INSIDE_BAND = "inside_band"
    VOLATILITY_ABOVE_TARGET = "volatility_above_target"
    VOLATILITY_WITHIN_TARGET = "volatility_within_target"
    NO_PREVIOUS_STATE = "no_previous_state"
    SCORE_MISSING = "score_missing"
    SCORE_STALE = "score_stale"
    SCORE_DEGRADED = "score_degraded"
    COOLDOWN = "cooldown"
    DEAD_ZONE = "dead_zone"
    DWELL = "dwell"
    BENEFIT_BELOW_COST = "benefit_below_cost"
    TURNOVER_DAY_REACHED = "turnover_day_reached"
    STEP_CAPPED = "step_capped"
    TURNOVER_DAY_CAPPED = "turnover_day_capped"
    VALUE_CAPPED = "value_capped"
    VALUE_CAP_REACHED = "value_cap_reached"
    ASSETS_DIFFER = "assets_differ"
    # of the keeper
    NO_TARGET = "no_target"
    KILL_SWITCH_HALT = "kill_switch_halt"
    KILL_SWITCH_REDUCE_ONLY = "kill_switch_reduce_only"
    SCORE_OUT_OF_RANGE = "score_out_of_range"
    SCORE_EXPIRED = "score_expired"
    POLICY_VERSION_UNKNOWN = "policy_version_unknown"
    DATA_MODE_NOT_ALLOWED = "data_mode_not_allowed"
    WRONG_NETWORK = "wrong_network"
    INPUTS_IMPUTED = "inputs_imputed"
    MODEL_NOT_ALLOWED = "model_not_allowed"
    SECOND_PRICE_MISSING = "second_price_missing"
    PRICES_DISAGREE = "prices_disagree"
    PRICE_MISSING = "price_missing"
    VAULT_EMPTY = "vault_empty"
    ROLE_MOVED = "role_moved"
    CODE_CHANGED = "code_changed"
    BALANCE_BELOW_RESERVE = "balance_below_reserve"
    NOT_CONFIGURED = "not_configured"
    CHAIN_UNAVAILABLE = "chain_unavailable"
    CHAIN_UNHEALTHY = "chain_unhealthy"
    NETWORK_RESET = "network_reset"
    PROTOCOL_UNTESTED = "protocol_untested"
    ACCOUNT_BUSY = "account_busy"
    INTENT_UNRESOLVED = "intent_unresolved"
    ALREADY_DECIDED = "already_decided"
    INSTRUCTIONS_CAPPED = "instructions_capped"
    NOTHING_TO_TRADE = "nothing_to_trade"
    POST_STATE_OUT_OF_BOUNDS = "post_state_out_of_bounds"


@dataclass(frozen=True, slots=True)
class VaultState:
    """What a vault holds at one ledger. `weights` sum to exactly 1; `tvl_usd` in dollars; `share_price` in dollars a
    share, None without shares. `ledger` None: not from a chain (a backtest)."""

    vault_id: str
    weights: Mapping[str, Decimal]
    tvl_usd: Decimal
    share_price: Decimal | None = None
    ledger: int | None = None


@dataclass(frozen=True, slots=True)
class Streak:
    """How many scores in a row asked for a move of one direction. `as_of`: of the newest of them; `reduces`: into the
    stable leg. `scores` 0: the newest asked for none."""

    as_of: datetime | None = None
    reduces: bool = False
    scores: int = 0


@dataclass(frozen=True, slots=True)
class ActionHistory:
    """Past actions and scores that bind the next action, in market time. `turnover_day`, `moved_usd_day`: share of the
    vault and dollars moved in the last 24 hours. `streak`: up to the score before."""

    last_action_at: datetime | None = None
    turnover_day: Decimal = Decimal(0)
    moved_usd_day: Decimal = Decimal(0)
    streak: Streak = Streak()


@dataclass(frozen=True, slots=True)
class Decision:
    """Verdict on one target and one state of the vault. `weights`: where to go in this action (None unless rebalance),
    already cut to the caps. `drift`: distance to the target, `turnover`: distance to `weights`; half the sum of
    absolute differences, share of the vault."""

    verdict: Verdict
    reasons: tuple[str, ...]
    weights: Mapping[str, Decimal] | None
    turnover: Decimal
    drift: Decimal
