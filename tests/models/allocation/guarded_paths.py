"""Random paths of scores and prices through the policy, and a second opinion on every move.

The second opinion knows the limits as sentences and keeps its own books: it shares no arithmetic with
`models.allocation` beyond the weights it is handed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from random import Random

from models.allocation.policy import decide, propose_target, streak_after
from models.allocation.weights import weights_of
from models.contracts.market import DataMode
from models.contracts.score import Score, ScoreStatus
from models.contracts.vault import (
    ActionHistory,
    Decision,
    PolicyName,
    Streak,
    Target,
    VaultAsset,
    VaultConfig,
    VaultLimits,
    VaultState,
    Verdict,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
ASSETS = (
    VaultAsset("USDC", None, D("0.2"), stable=True),
    VaultAsset("BTC", "BTC", D("0.5")),
    VaultAsset("cNGN", "USDNGN:official", D("0.3"), invert=True),
)
SYMBOLS = [asset.symbol for asset in ASSETS]
Decide = Callable[[VaultConfig, Target, VaultState, ActionHistory, datetime], Decision]
Propose = Callable[..., Target]


@dataclass(frozen=True)
class Action:
    at: datetime
    turnover: float
    usd: float


@dataclass
class Books:
    """What happened so far, by the checker's own account. `asked`: as_of and direction of each score that counted."""

    actions: list[Action] = field(default_factory=list)
    asked: list[tuple[datetime, str]] = field(default_factory=list)


def a_vault(rng: Random) -> VaultConfig:
    """Limits loose or tight at random, all of them on."""
    cooldown = rng.choice([0, 3600, 6 * 3600])
    limits = VaultLimits(
        dead_zone=rng.choice([D("0.02"), D("0.1")]),
        max_step=rng.choice([D("0.2"), D("0.5"), D(1)]),
        max_turnover_day=rng.choice([D("0.4"), D(1)]),
        cooldown_s=cooldown,
        target_sigma_ann=0.4,
        dwell_scores=rng.choice([1, 2, 3]),
        cooldown_reduce_s=rng.choice([None, cooldown // 2, 0]),
        min_benefit=rng.choice([0.0, 1.0, 3.0]),
        cost_usd=rng.choice([D("0.25"), D(5)]),
        max_action_usd=rng.choice([None, D(250)]),
        max_day_usd=rng.choice([None, D(600)]),
    )
    policy = rng.choice([PolicyName.ON_OFF, PolicyName.VOLATILITY_TARGET])
    return VaultConfig("mixed", "devnet", None, ASSETS, limits, policy)


def a_score(rng: Random, now: datetime, last: Score | None) -> Score | None:
    """Mostly sound and near the thresholds; now and then missing, old, doubtful, or the one from before."""
    kind = rng.random()
    if kind < 0.05:
        return None
    if kind < 0.15 and last is not None:
        return last
    value: float | None = rng.choice([79.0, 81.0, 69.0, 71.0]) if kind < 0.6 else rng.uniform(40, 100)
    if kind > 0.98:
        value = math.nan
    return Score(
        "vault:mixed", 1, now - timedelta(hours=3 if 0.90 < kind < 0.93 else 0), now, now + timedelta(hours=2),
        ScoreStatus.DEGRADED if 0.93 < kind < 0.95 else ScoreStatus.OK, (), value, 0.1, 1e-4,
        None if 0.95 < kind < 0.97 else rng.lognormvariate(math.log(0.4), 0.5), 0.02, 0.03, "har", "1",
        DataMode.SIMULATED, 0.3 if 0.97 < kind < 0.98 else 0.0, 0.0,
    )  # fmt: skip


def walk(
    rng: Random,
    ticks: int,
    decide_: Decide = decide,
    propose: Propose = propose_target,
    vault: VaultConfig | None = None,
    moves: bool = True,
) -> Iterator[tuple[VaultConfig, Score | None, Target, VaultState, Decision, datetime, Books]]:
    """One path, tick by tick; each decision is carried out at once. `moves` False: prices stand still."""
    vault = vault or a_vault(rng)
    books, streak, done = Books(), Streak(), list[tuple[datetime, D, D]]()
    now, score = START, None
    state_of_policy, wanted = None, None
    values = {s: D(rng.randrange(1, 500)) if s == "USDC" or rng.random() < 0.5 else D(0) for s in SYMBOLS}
    for _ in range(ticks):
        now += timedelta(seconds=rng.choice([900, 3600, 3600, 3600, 6 * 3600]))
        if moves:
            values |= {s: values[s] * D(str(round(rng.lognormvariate(0, 0.04), 6))) for s in ("BTC", "cNGN")}
        state = VaultState("mixed", weights_of(values), sum(values.values(), D(0)))
        score = a_score(rng, now, score)
        target = propose(vault, score, state_of_policy, now, wanted)
        state_of_policy, wanted = target.state, target.weights
        recent = [action for action in done if action[0] > now - timedelta(days=1)]
        moved, moved_usd = (sum((action[i] for action in recent), D(0)) for i in (1, 2))
        history = ActionHistory(done[-1][0] if done else None, moved, moved_usd, streak)
        decision = decide_(vault, target, state, history, now)
        streak = streak_after(vault, target, state, streak, now)
        yield vault, score, target, state, decision, now, books
        if decision.weights is not None:
            books.actions.append(Action(now, float(decision.turnover), float(decision.turnover * state.tvl_usd)))
            values = {s: w * state.tvl_usd for s, w in decision.weights.items()}
            done.append((now, decision.turnover, decision.turnover * state.tvl_usd))


def check(
    vault: VaultConfig,
    score: Score | None,
    target: Target,
    state: VaultState,
    decision: Decision,
    now: datetime,
    books: Books,
) -> None:
    """Assert that a decision breaks no guard. Keeps `books.asked` up to date."""
    limits = vault.limits
    assert decision.reasons
    held, wanted = ({s: float(w[s]) for s in SYMBOLS} for w in (state.weights, target.weights))
    drift = sum(abs(wanted[s] - held[s]) for s in SYMBOLS) / 2
    sound = (
        score is not None
        and score.score is not None
        and math.isfinite(score.score)
        and score.status is ScoreStatus.OK
        and score.share_imputed <= limits.max_share_imputed
        and (now - score.as_of).total_seconds() <= limits.max_score_age_s
    )
    if sound and target.usable:
        assert score is not None
        direction = "in" if wanted["USDC"] > held["USDC"] else "out"
        if drift < float(limits.dead_zone):
            direction = "none"
        if not books.asked or score.as_of > books.asked[-1][0]:
            books.asked.append((score.as_of, direction))
        elif books.asked[-1][1] != direction:  # heard again after prices moved: it asks for something else now
            books.asked[-1] = (score.as_of, direction)
    if decision.verdict is not Verdict.REBALANCE:
        assert decision.weights is None
        return
    assert decision.weights is not None
    assert score is not None
    assert sound, "sound score"
    after = {s: float(decision.weights[s]) for s in SYMBOLS}
    assert set(decision.weights) == set(SYMBOLS)
    assert sum(decision.weights.values()) == 1
    assert min(decision.weights.values()) >= 0
    moved = sum(abs(after[s] - held[s]) for s in SYMBOLS) / 2
    value = float(state.tvl_usd)
    assert drift >= float(limits.dead_zone) - 1e-9, "dead zone"
    assert moved <= float(limits.max_step) + 1e-9, "step"
    today = [a for a in books.actions if now - a.at < timedelta(days=1)]
    assert sum(a.turnover for a in today) + moved <= float(limits.max_turnover_day) + 1e-9, "turnover a day"
    if limits.max_action_usd is not None:
        assert moved * value <= float(limits.max_action_usd) + 1e-4, "dollars an action"
    if limits.max_day_usd is not None:
        assert sum(a.usd for a in today) + moved * value <= float(limits.max_day_usd) + 1e-4, "dollars a day"
    for s in SYMBOLS:
        assert min(held[s], wanted[s]) - 2e-8 <= after[s] <= max(held[s], wanted[s]) + 2e-8, "on the way"
    into_stable = wanted["USDC"] > held["USDC"]
    wait_s = limits.cooldown_s
    if into_stable and limits.cooldown_reduce_s is not None:
        wait_s = limits.cooldown_reduce_s
    if books.actions:
        assert (now - books.actions[-1].at).total_seconds() >= wait_s, "cooldown"
    last = [direction for _, direction in books.asked[-limits.dwell_scores :]]
    assert last == [last[-1]] * limits.dwell_scores, "dwell"
    assert last[-1] != "none"
    if limits.min_benefit > 0:
        assert score.sigma_ann is not None
        gain = score.sigma_ann / math.sqrt(365) * abs(after["USDC"] - held["USDC"]) / 0.8
        cost = moved * limits.cost_bps / 10_000 + float(limits.cost_usd) / value
        assert gain >= limits.min_benefit * cost - 1e-12, "benefit"
    if vault.policy is PolicyName.VOLATILITY_TARGET:
        assert score.sigma_ann is not None
        assert wanted["USDC"] >= 1 - 0.8 * min(1.0, 0.4 / score.sigma_ann) - 1e-7, "volatility wanted"
