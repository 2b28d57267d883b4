"""The exact engine: one bar at a time, through the very functions that the keeper calls.

The engine is handed a bar and the newest score and knows nothing of what comes after, so it cannot look ahead. What
is decided at the close of a bar is filled at the close of a later one. Guards of the keeper that concern a chain
appear as what they do to a vault: an outage is a bar without a tick, a failed transaction an order with fill share 0.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from models.allocation import policy
from models.allocation.weights import weights_of
from models.backtest.bars import Bar
from models.backtest.costs import Costs
from models.backtest.holdings import Depth, Order, fill, order_to, values_of
from models.backtest.records import Tick, Trade
from models.backtest.strategy import History, Moment, Strategy
from models.contracts.score import Score
from models.contracts.vault import ActionHistory, Decision, Reason, Streak, Target, VaultState, Verdict

ZERO = Decimal(0)
DAY = timedelta(days=1)


class LookAhead(ValueError):
    """A score was handed over before it could be known, or bars out of order."""


@dataclass(frozen=True, slots=True)
class Execution:
    """How orders are carried out. `latency_bars` >= 1: bars from the decision to the fill; `capital_usd` at the start,
    which only matters where a cost depends on the size of a trade."""

    costs: Costs = field(default_factory=Costs)
    latency_bars: int = 1
    capital_usd: Decimal = Decimal(1_000_000)

    def __post_init__(self) -> None:
        if self.latency_bars < 1:
            raise ValueError("latency_bars must be at least 1: a decision at a close cannot be filled at that close")
        if not (self.capital_usd.is_finite() and self.capital_usd > 0):
            raise ValueError("capital_usd must be above 0")


@dataclass(frozen=True, slots=True)
class Sent:
    """An order that is out: when it was decided, with what turnover (share and dollars of the vault), and the first bar
    at which it may be filled."""

    order: Order
    decided_bar: int
    decided_at: datetime
    planned: Decimal
    planned_usd: Decimal
    due: int


@dataclass(frozen=True, slots=True)
class Step:
    """What a bar left behind: the vault after the fill, at the newest prices there are, the fill if there was one, and
    the tick."""

    state: VaultState
    trade: Trade | None
    tick: Tick


class Engine:
    """One strategy on its vault, from the first bar on. Columns of a bar are the vault's legs, in their order.

    Raises
    ------
    PolicyError
        If the vault's configuration is impossible.
    """

    def __init__(self, strategy: Strategy, execution: Execution) -> None:
        self._strategy, self._execution = strategy, execution
        self._vault = strategy.vault
        policy.check_vault(self._vault)
        self._symbols = tuple(asset.symbol for asset in self._vault.assets)
        self._cash = policy.stable_leg(self._vault)
        self._history = History()
        self._now: datetime | None = None
        self._units: dict[str, Decimal] = {}
        self._prices: dict[str, Decimal] = {}
        self._last: Target | None = None
        self._sent: Sent | None = None
        self._acted_on: datetime | None = None
        self._actions: deque[tuple[datetime, Decimal, Decimal]] = deque()
        self._last_action_at: datetime | None = None
        self._streak = Streak()

    def step(self, bar: Bar, score: Score | None) -> Step:
        """Mark, fill what is due, hear the strategy, decide.

        Parameters
        ----------
        score : newest score known at the bar's close.

        Raises
        ------
        LookAhead
            If the score was not known by then, or the bar is not later than the one before.
        """
        self._see(bar, score)
        trade = self._fill(bar)
        values = values_of(self._units, self._prices)
        state = VaultState(self._vault.id, weights_of(values), sum(values.values(), ZERO))
        tick = self._tick(bar, score, state if bar.is_priced else None)
        return Step(state, trade, tick)

    def _see(self, bar: Bar, score: Score | None) -> None:
        if score is not None and max(score.as_of, score.issued_at) > bar.close_at:
            known = max(score.as_of, score.issued_at)
            raise LookAhead(f"bar of {bar.close_at.isoformat()}: its score was not known before {known.isoformat()}")
        if self._now is not None and bar.close_at <= self._now:
            raise LookAhead(f"bar of {bar.close_at.isoformat()} after that of {self._now.isoformat()}")
        self._now = bar.close_at
        self._history.add(bar.prices)
        self._prices |= {
            symbol: Decimal(repr(price))
            for symbol, price in zip(self._symbols, bar.prices, strict=True)
            if price == price
        }
        if not self._units:
            money = self._execution.capital_usd
            self._units = {s: self._strategy.start[s] * money / self._prices[s] for s in self._symbols}

    def _fill(self, bar: Bar) -> Trade | None:
        sent = self._sent
        if sent is None or bar.index < sent.due or not bar.is_priced or bar.halted:
            return None
        self._sent = None
        before = sum(values_of(self._units, self._prices).values(), ZERO)
        share, depth = Decimal(repr(bar.fill_share)), Depth(*self._by_symbol(bar))
        costs = self._execution.costs.widened(bar.spread_multiplier)
        filled = fill(sent.order, self._units, self._prices, share, self._cash, costs, depth)
        self._units = filled.units
        if share > 0:
            self._actions.append((sent.decided_at, sent.planned, sent.planned_usd))
            self._last_action_at = sent.decided_at
        moved = max(filled.sold_usd, filled.bought_usd) / before
        notional = filled.sold_usd + filled.bought_usd
        return Trade(
            sent.decided_bar,
            bar.index,
            float(sent.planned),
            float(moved),
            float(notional),
            float(filled.cost_usd),
            bar.fill_share,
        )

    def _tick(self, bar: Bar, score: Score | None, state: VaultState | None) -> Tick:
        last = self._last
        target = self._strategy.target(Moment(bar.index, bar.close_at, score, self._history, last))
        self._last = target
        history = self._bound_by(bar.close_at)
        decision = self._decide(bar, score, target, state, history)
        if decision is not None and decision.weights is not None and state is not None:
            self._send(bar, target, state, decision)
        return Tick(
            bar.index,
            bar.close_at,
            score,
            last.state if last else None,
            last.weights if last else None,
            target,
            state,
            history,
            decision,
        )

    def _decide(
        self, bar: Bar, score: Score | None, target: Target, state: VaultState | None, history: ActionHistory
    ) -> Decision | None:
        """The guards of a tick in the keeper's order, then the policy, then one action a score."""
        if not bar.keeper_up or bar.halted:
            return None
        if self._sent is not None:
            return _no(Verdict.HOLD, Reason.INTENT_UNRESOLVED)
        if score is not None and target.as_of == score.as_of and bar.close_at > score.valid_until:
            return _no(Verdict.HOLD, Reason.SCORE_EXPIRED)
        if state is None:
            return _no(Verdict.REFUSE, Reason.PRICE_MISSING)
        decision = policy.decide(self._vault, target, state, history, bar.close_at)
        self._streak = policy.streak_after(self._vault, target, state, self._streak, bar.close_at)
        if decision.verdict is Verdict.REBALANCE and target.as_of == self._acted_on:
            return _no(Verdict.HOLD, Reason.ALREADY_DECIDED, decision.drift)
        return decision

    def _send(self, bar: Bar, target: Target, state: VaultState, decision: Decision) -> None:
        assert decision.weights is not None
        order = order_to(decision.weights, state.weights, self._units, self._prices, self._cash)
        due = bar.index + self._execution.latency_bars
        planned = decision.turnover
        self._sent = Sent(order, bar.index, bar.close_at, planned, planned * state.tvl_usd, due)
        self._acted_on = target.as_of

    def _bound_by(self, now: datetime) -> ActionHistory:
        while self._actions and self._actions[0][0] <= now - DAY:
            self._actions.popleft()
        moved = sum((moved for _, moved, _ in self._actions), ZERO)
        moved_usd = sum((moved for _, _, moved in self._actions), ZERO)
        return ActionHistory(self._last_action_at, moved, moved_usd, self._streak)

    def _by_symbol(self, bar: Bar) -> tuple[dict[str, float], dict[str, float]]:
        sigma, depth = (dict(zip(self._symbols, row, strict=False)) for row in (bar.sigma_day, bar.depth_usd))
        return sigma, depth


def _no(verdict: Verdict, reason: Reason, drift: Decimal = ZERO) -> Decision:
    return Decision(verdict, (reason,), None, ZERO, drift)
