"""The strategy of the bench in the words of other engines: vectorbt and backtesting.py. Neither is needed elsewhere.

All in one coin below a score, all in dollars above another, filled at the next close. A dollar of trade costs the same
everywhere: `fee` of what a sale brings and of what a purchase spends. The others charge a purchase beside what it buys,
so they are told `fee / (1 - fee)` of that: the coins bought are the same.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

COIN_UNIT = 1e-8  # backtesting.py trades whole units


@dataclass(frozen=True, eq=False)
class Course:
    """What every engine is handed: (n,) closes and scores at them, hours apart."""

    times: NDArray[np.datetime64]
    closes: FloatArray
    scores: FloatArray


@dataclass(frozen=True, slots=True)
class Rule:
    """Out above `leave`, in below `enter`; both are scores. `fee`: share of a trade."""

    leave: float
    enter: float
    fee: float
    capital: float


Run = Callable[[Course, Rule], FloatArray]


def with_vectorbt(course: Course, rule: Rule) -> FloatArray:
    """(n,) equity by `Portfolio.from_signals`; compiled by Rust where its extra is installed, else by numba."""
    return with_vectorbt_at_once(course, [rule])[:, 0]


def with_vectorbt_at_once(course: Course, rules: list[Rule]) -> FloatArray:
    """(n, rules) equity of many rules as columns of one run, which is what vectorbt is made for. One fee for all."""
    import vectorbt

    index = pd.DatetimeIndex(course.times)
    enter, leave = (np.array([getattr(rule, name) for rule in rules]) for name in ("enter", "leave"))
    before = np.concatenate([[np.nan], course.scores[:-1]])[:, None]  # decided at a close, filled at the next
    buys = before < enter
    fee = rules[0].fee
    portfolio = vectorbt.Portfolio.from_signals(
        pd.Series(course.closes, index),
        pd.DataFrame(buys, index),
        pd.DataFrame(before > leave, index),
        fees=np.where(buys, fee / (1.0 - fee), fee),
        init_cash=rules[0].capital,
        freq="1h",
    )
    return np.asarray(portfolio.value()).reshape(len(index), -1)


def with_backtesting_py(course: Course, rule: Rule) -> FloatArray:
    """(n,) equity by `Backtest.run`, bar by bar. Orders are filled at the next open, which is told to be the close."""
    from backtesting import Backtest, Strategy

    class InAndOut(Strategy):  # type: ignore[misc]  # its base is untyped
        is_leaving = False

        def init(self) -> None:
            pass

        def next(self) -> None:
            score = self.data.Score[-1]
            if self.position:
                if score > rule.leave:
                    InAndOut.is_leaving = True
                    self.position.close()
            elif score < rule.enter:
                InAndOut.is_leaving = False
                self.buy(size=_ALL)

    def commission(size: float, price: float) -> float:
        # It is asked with the size of the trade at both ends: the sign does not tell a sale from a purchase.
        return abs(size) * price * (rule.fee if InAndOut.is_leaving else rule.fee / (1.0 - rule.fee))

    price = course.closes * COIN_UNIT
    frame = pd.DataFrame(
        {"Open": price, "High": price, "Low": price, "Close": price, "Score": course.scores},
        pd.DatetimeIndex(course.times),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the last trade is still open
        ended = Backtest(frame, InAndOut, cash=rule.capital, commission=commission).run()
    return np.asarray(ended["_equity_curve"]["Equity"], dtype=np.float64)


_ALL = 1.0 - 1e-15  # it takes 1 for one unit
PEERS: dict[str, tuple[str, Run]] = {
    "vectorbt": ("vectorbt", with_vectorbt),
    "backtesting_py": ("backtesting", with_backtesting_py),
}


def version_of(package: str) -> str | None:
    """Its version; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def missing(package: str) -> dict[str, Any]:
    """What stands in the document for an engine that is not there."""
    return {"not_measured": f"{package} is not installed: .venv/bin/pip install -c requirements.lock -e '.[bench]'"}
