"""Random ticks of a keeper without a chain: facts, scores and prices at random, and a second opinion on every plan.

The second opinion carries the instructions out by itself, in base units, and knows the guards as sentences. It uses
nothing of `keeper.trades`, `keeper.post_state` or `keeper.decision`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal as D
from random import Random

from keeper.decision import ChainFacts, Judgement, TargetInput, judge
from keeper.gateway import AccountView, AssetFunds, StrategyFunds, SwapExactIn, Unwind, VaultView
from keeper.limits import Control, ControlMode, KeeperConfig, KeeperLimits
from keeper.networks import PASSPHRASES
from models.allocation.policy import POLICY_VERSIONS
from models.contracts.market import DataMode
from models.contracts.vault import (
    ActionHistory,
    PolicyName,
    PolicyState,
    Streak,
    Target,
    VaultAsset,
    VaultConfig,
    VaultLimits,
)
from tests.keeper.world import MARKET_NOW

LEGS = {"USDC": 7, "BTC": 8, "XLM": 7, "cNGN": 6}  # decimals
ASSETS = tuple(
    VaultAsset(s, None if s == "USDC" else s, D("0.25"), stable=s == "USDC", contract=s.lower(), decimals=n)
    for s, n in LEGS.items()
)
ACCOUNT = "keeper"
Judge = Callable[..., Judgement]


@dataclass(frozen=True)
class Tick:
    config: KeeperConfig
    row: TargetInput
    control: Control
    facts: ChainFacts
    now: datetime
    judgement: Judgement
    done: tuple[tuple[datetime, float, float], ...]  # what was carried out before: when, share, dollars


@dataclass
class Holdings:
    """Base units of each token, idle and in one strategy each."""

    idle: dict[str, int]
    invested: dict[str, int]
    paused: set[str] = field(default_factory=set)

    def view(self) -> VaultView:
        funds = tuple(
            AssetFunds(t, n + self.invested[t], n, (StrategyFunds(f"s-{t}", self.invested[t], t in self.paused),))
            for t, n in self.idle.items()
        )
        return VaultView("vault", 5, funds, 10**10, ACCOUNT, None)


def a_config(rng: Random) -> KeeperConfig:
    """Caps loose or tight at random, all at once."""
    limits = VaultLimits(
        dead_zone=rng.choice([D(0), D("0.02")]),
        max_step=rng.choice([D("0.1"), D("0.5"), D(1)]),
        max_turnover_day=rng.choice([D("0.3"), D(1), D(2)]),
        cooldown_s=rng.choice([0, 3600, 6 * 3600]),
        max_slippage_bps=rng.choice([10, 100, 500]),
        max_action_usd=rng.choice([None, D(200), D(20_000)]),
        max_day_usd=rng.choice([None, D(500), D(50_000)]),
        max_price_gap=rng.choice([None, D("0.01"), D("0.05")]),
        allowed_models=rng.choice([None, ("1", "2")]),
        dwell_scores=rng.choice([1, 1, 2]),
    )
    network = rng.choice(["devnet", "public"])
    vault = VaultConfig("v", network, "vault", ASSETS, limits, PolicyName.ON_OFF)
    keeper = KeeperLimits(max_instructions=rng.choice([1, 2, 3, 6, 9]), min_trade=rng.choice([D("0.001"), D("0.02")]))
    return KeeperConfig(vault, ACCOUNT, limits=keeper)


def some_holdings(rng: Random, prices: dict[str, D]) -> Holdings:
    """A vault of some hundreds to some ten thousands of dollars; legs empty, idle, invested or paused at random."""
    worth = rng.choice([500, 5_000, 50_000])
    idle, invested = {}, {}
    for symbol, decimals in LEGS.items():
        dollars = D(rng.randrange(worth)) if symbol == "USDC" or rng.random() < 0.7 else D(0)
        units = int((dollars / prices[symbol]).scaleb(decimals)) + (symbol == "USDC")
        idle[symbol.lower()] = rng.choice([units, units, units // 3, 0])
        invested[symbol.lower()] = units - idle[symbol.lower()]
    return Holdings(idle, invested)


def a_row(rng: Random, config: KeeperConfig, prices: dict[str, D], now: datetime) -> TargetInput:
    """Mostly sound; each thing that a guard looks at is wrong now and then."""

    def odd(good: object, *bad: object) -> object:
        return rng.choice(bad) if rng.random() < 0.04 else good

    shares = [rng.randrange(1, 100) if rng.random() < 0.6 else 0 for _ in LEGS]
    shares[0] += sum(shares) == 0
    whole = sum(shares)
    weights = {s: (D(n) / whole).quantize(D("1e-8")) for s, n in zip(LEGS, shares, strict=True)}
    weights["USDC"] += 1 - sum(weights.values())
    if weights["USDC"] < 0:
        weights = {s: D("0.25") for s in LEGS}
    target = Target(
        "v", now - timedelta(hours=odd(0, 3, -1)), PolicyState.RISK_ON, weights, ("test",),  # type: ignore[arg-type]
        odd(50.0, None, math.nan, 101.0, -1.0), odd(POLICY_VERSIONS[PolicyName.ON_OFF], "onoff-0"),  # type: ignore[arg-type]
        bool(odd(True, False)),
    )  # fmt: skip
    second = {s: p * D(str(round(rng.uniform(0.995, 1.005), 6))) for s, p in prices.items() if s != "USDC"}
    wrong = rng.choice(["BTC", "XLM", "cNGN"])
    if rng.random() < 0.05:
        second[wrong] *= rng.choice([D("0.94"), D("1.03"), D("1.2"), D("NaN")])
    if rng.random() < 0.05:
        del second[wrong]
    if rng.random() < 0.03:
        prices = {s: p for s, p in prices.items() if s != wrong}
    return TargetInput(
        target, now + timedelta(hours=odd(2, -1)), odd(DataMode.LIVE, *DataMode), odd(0.0, 0.3, math.nan), prices,  # type: ignore[arg-type]
        str(odd("1", "3", "")), second_prices=second,
    )  # fmt: skip


def walk(rng: Random, ticks: int, judge_: Judge = judge) -> Iterator[Tick]:
    """One vault through some ticks; what is planned is carried out with slippage up to what it allows."""
    config = a_config(rng)
    prices = {"USDC": D(1), "BTC": D(90_000), "XLM": D("0.25"), "cNGN": D("0.00066")}
    held, now = some_holdings(rng, prices), MARKET_NOW
    done: list[tuple[datetime, D, D]] = []
    streak = Streak()
    for _ in range(ticks):
        now += timedelta(seconds=rng.choice([900, 3600, 3600, 6 * 3600]))
        prices |= {s: prices[s] * D(str(round(rng.lognormvariate(0, 0.02), 6))) for s in ("BTC", "XLM", "cNGN")}
        held.paused = {t for t in held.idle if rng.random() < 0.1}
        row = a_row(rng, config, {s: p for s, p in prices.items() if s != "USDC"}, now)
        mode = rng.choice([ControlMode.RUN] * 8 + [ControlMode.REDUCE_ONLY, ControlMode.HALT])
        balance = 10**9 if rng.random() > 0.03 else 29_999_999
        account = AccountView(ACCOUNT, 1, balance, 5)
        facts = ChainFacts(PASSPHRASES[config.vault.network], account, held.view(), 23)
        recent = [action for action in done if action[0] > now - timedelta(days=1)]
        history = ActionHistory(
            done[-1][0] if done else None, sum((a[1] for a in recent), D(0)), sum((a[2] for a in recent), D(0)), streak
        )
        judgement = judge_(config, row, Control(mode, ""), facts, history, now)
        booked = tuple((at, float(share), float(usd)) for at, share, usd in done)
        yield Tick(config, row, Control(mode, ""), facts, now, judgement, booked)
        streak = judgement.streak or streak
        if judgement.trades is not None and judgement.state is not None:
            moved = judgement.decision.turnover
            done.append((now, moved, moved * judgement.state.tvl_usd))
            good = D(str(round(rng.random(), 4)))
            for step in judgement.trades.instructions:
                if isinstance(step, Unwind):
                    token = step.strategy.removeprefix("s-")
                    held.invested[token] -= step.amount
                    held.idle[token] += step.amount
                elif isinstance(step, SwapExactIn):
                    slack = 2 * step.amount_out_min * config.vault.limits.max_slippage_bps // 10_000
                    held.idle[step.token_in] -= step.amount_in
                    held.idle[step.token_out] += step.amount_out_min + int(slack * good)


def check(tick: Tick) -> None:
    """Assert that what is planned breaks no guard, and that the vault afterwards is the decided one."""
    judgement, row, now = tick.judgement, tick.row, tick.now
    assert judgement.decision.reasons
    if judgement.trades is None:
        return
    vault, target = tick.config.vault, row.target
    limits = vault.limits
    assert tick.control.mode is not ControlMode.HALT, "switch"
    assert target.usable, "score"
    assert target.score is not None, "score"
    assert 0 <= target.score <= 100, "score"
    assert limits.allowed_models is None or row.model_version in limits.allowed_models, "model"
    assert target.as_of <= now <= row.valid_until, "fresh"
    assert (now - target.as_of).total_seconds() <= limits.max_score_age_s, "fresh"
    assert vault.network != "public" or row.data_mode.value == "live", "live data"
    assert row.share_imputed <= limits.max_share_imputed, "imputed"
    if limits.max_price_gap is not None:
        for s in ("BTC", "XLM", "cNGN"):
            pair = sorted([float(row.prices[s]), float(row.second_prices.get(s, D("NaN")))])
            assert pair[1] / pair[0] - 1 <= float(limits.max_price_gap) * (1 + 1e-9), "two prices"
    least = tick.config.limits.reserve_stroops + limits.max_fee_stroops
    assert tick.facts.account.balance_stroops >= least, "reserve"
    if tick.done:
        assert (now - tick.done[-1][0]).total_seconds() >= limits.cooldown_s, "cooldown"
    _check_outcome(tick)


def _check_outcome(tick: Tick) -> None:
    trades, decision = tick.judgement.trades, tick.judgement.decision
    assert trades is not None
    assert decision.weights is not None
    limits, keeper = tick.config.vault.limits, tick.config.limits
    price = {s.lower(): float(tick.row.prices.get(s, 1)) / 10**n for s, n in LEGS.items()}  # dollars a base unit
    idle = {f.asset: f.idle for f in tick.facts.vault.funds}
    inside = {f.asset: f.strategies[0] for f in tick.facts.vault.funds}
    total = {f.asset: f.total for f in tick.facts.vault.funds}
    value = sum(n * price[t] for t, n in total.items())
    before = {t: n * price[t] / value for t, n in total.items()}
    slip = limits.max_slippage_bps / 10_000
    assert len(trades.instructions) <= keeper.max_instructions, "instructions"
    sold = bought = 0.0
    for step in trades.instructions:
        if isinstance(step, Unwind):
            token = step.strategy.removeprefix("s-")
            assert 0 < step.amount <= inside[token].amount, "unwind"
            assert not inside[token].paused, "paused"
            idle[token] += step.amount
            continue
        assert isinstance(step, SwapExactIn)
        assert 0 < step.amount_in <= idle[step.token_in], "overspent"
        fair = step.amount_in * price[step.token_in] / price[step.token_out]
        assert step.amount_out_min >= fair * (1 - slip) - 2, "least amount"
        idle[step.token_in] -= step.amount_in
        idle[step.token_out] += step.amount_out_min
        total[step.token_in] -= step.amount_in
        total[step.token_out] += step.amount_out_min
        if step.token_out == "usdc":
            sold += step.amount_in * price[step.token_in]
        else:
            bought += step.amount_in * price[step.token_in]
    moved_usd, dust = max(sold, bought), 1e-5 * value
    assert moved_usd <= float(limits.max_step) * value + dust, "step"
    today = [action for action in tick.done if tick.now - action[0] < timedelta(days=1)]
    assert sum(a[1] for a in today) + moved_usd / value <= float(limits.max_turnover_day) + 1e-5, "turnover a day"
    if limits.max_action_usd is not None:
        assert moved_usd <= float(limits.max_action_usd) + dust, "dollars an action"
    if limits.max_day_usd is not None:
        assert sum(a[2] for a in today) + moved_usd <= float(limits.max_day_usd) + dust, "dollars a day"
    worth = sum(n * price[t] for t, n in total.items())
    after = {t: n * price[t] / worth for t, n in total.items()}
    lost = 2 * slip * moved_usd / value + 1e-4
    assert 1 - worth / value <= lost, "loss"
    for symbol, wanted in decision.weights.items():
        off = float(keeper.min_trade) * (len(LEGS) if symbol == "USDC" else 1)
        assert abs(after[symbol.lower()] - float(wanted)) <= lost + off, "decided"
        towards = sorted([before[symbol.lower()], float(tick.row.target.weights[symbol])])
        assert towards[0] - lost - off <= after[symbol.lower()] <= towards[1] + lost + off, "on the way"
    if tick.control.mode is ControlMode.REDUCE_ONLY:
        assert after["usdc"] > before["usdc"], "reduce only"


def with_limits(judge_: Judge, **changes: object) -> Judge:
    """A keeper that goes by other limits than those of its vault."""

    def mutant(config: KeeperConfig, *rest: object) -> Judgement:
        limits = replace(config.vault.limits, **changes)  # type: ignore[arg-type]
        return judge_(replace(config, vault=replace(config.vault, limits=limits)), *rest)

    return mutant
