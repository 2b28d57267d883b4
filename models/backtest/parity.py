"""Whether a run answered as the keeper's functions answer: every tick is asked again and every difference listed.

What the policy remembers and what binds it is rebuilt from the course of the run, not taken from the tick, so an
engine that forgets the cooldown, invents a memory or calls another function is found. A quiet report is what makes
the figures of a backtest figures of the keeper.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from models.allocation.policy import decide, propose_target, streak_after
from models.backtest.records import BacktestRun, Tick
from models.contracts.vault import ActionHistory, Decision, Reason, Streak, Target, VaultConfig, Verdict

DAY = timedelta(days=1)
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Difference:
    """`what` of the tick at `bar` is `found`, the functions of the keeper say `expected`."""

    bar: int
    now: datetime
    what: str
    found: str
    expected: str


def differences(run: BacktestRun, vault: VaultConfig) -> tuple[Difference, ...]:
    """All differences between the ticks of an exact run of a score policy and the keeper's functions.

    Parameters
    ----------
    run : with ticks, of a `ScorePolicy` on `vault`.

    Raises
    ------
    ValueError
        If the run has no ticks.
    """
    if not run.ticks:
        raise ValueError("only the exact engine leaves ticks to be asked again")
    return tuple(_Replay(run, vault).differences())


class _Replay:
    """Goes once through a run with a memory of its own."""

    def __init__(self, run: BacktestRun, vault: VaultConfig) -> None:
        self._run, self._vault = run, vault
        self._fills = {trade.bar: trade for trade in run.trades}
        self._last: Target | None = None
        self._last_action_at: datetime | None = None
        self._recent: list[tuple[datetime, Decimal, Decimal]] = []
        self._open_since: int | None = None
        self._acted_on: datetime | None = None
        self._streak = Streak()

    def differences(self) -> Iterator[Difference]:
        for tick in self._run.ticks:
            yield from self._filled(tick)
            for what, found, expected in self._asked_again(tick):
                if found != expected:
                    yield Difference(tick.bar, tick.now, what, str(found), str(expected))
            if tick.decision is not None and tick.decision.verdict is Verdict.REBALANCE:
                self._open_since, self._acted_on = tick.bar, tick.target.as_of

    def _filled(self, tick: Tick) -> Iterator[Difference]:
        trade = self._fills.get(tick.bar)
        if trade is None:
            return
        if trade.decided_bar != self._open_since:
            yield Difference(tick.bar, tick.now, "fill", f"of bar {trade.decided_bar}", f"of bar {self._open_since}")
        self._open_since = None
        if trade.fill_share > 0:
            sent = self._run.ticks[trade.decided_bar]
            self._last_action_at = sent.now
            moved = sent.decision.turnover if sent.decision else ZERO
            self._recent.append((sent.now, moved, moved * sent.state.tvl_usd if sent.state else ZERO))

    def _asked_again(self, tick: Tick) -> Iterator[tuple[str, object, object]]:
        last, score = self._last, tick.score
        yield "previous state", tick.previous, last.state if last else None
        yield "last weights", tick.last_weights, last.weights if last else None
        yield "score known by now", score is None or max(score.as_of, score.issued_at) <= tick.now, True
        history = self._history(tick.now)
        yield "history", tick.history, history
        target = propose_target(
            self._vault, score, last.state if last else None, tick.now, last.weights if last else None
        )
        yield "target", tick.target, target
        if tick.decision is not None:
            yield "decision", tick.decision, self._decision(tick, target, history)
        self._last = target

    def _decision(self, tick: Tick, target: Target, history: ActionHistory) -> Decision:
        if self._open_since is not None:
            return _no(Verdict.HOLD, Reason.INTENT_UNRESOLVED)
        if tick.score is not None and tick.now > tick.score.valid_until:
            return _no(Verdict.HOLD, Reason.SCORE_EXPIRED)
        if tick.state is None:
            return _no(Verdict.REFUSE, Reason.PRICE_MISSING)
        decision = decide(self._vault, target, tick.state, history, tick.now)
        self._streak = streak_after(self._vault, target, tick.state, self._streak, tick.now)
        if decision.verdict is Verdict.REBALANCE and target.as_of == self._acted_on:
            return _no(Verdict.HOLD, Reason.ALREADY_DECIDED, decision.drift)
        return decision

    def _history(self, now: datetime) -> ActionHistory:
        self._recent = [action for action in self._recent if action[0] > now - DAY]
        moved = sum((moved for _, moved, _ in self._recent), ZERO)
        moved_usd = sum((moved for _, _, moved in self._recent), ZERO)
        return ActionHistory(self._last_action_at, moved, moved_usd, self._streak)


def _no(verdict: Verdict, reason: Reason, drift: Decimal = ZERO) -> Decision:
    return Decision(verdict, (reason,), None, ZERO, drift)
