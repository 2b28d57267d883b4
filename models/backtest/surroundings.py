"""Parts of the time of a backtest: the regime that each day began in, and the events that fall into it.

Both are known without the run: a regime is told from closes before the day, an event by its date.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

import numpy as np

from models.backtest.bars import Bars
from models.backtest.comparison import Window
from models.backtest.mixes import as_row
from models.contracts.horizons import PROTOCOLS
from models.contracts.market import SeriesKind
from models.contracts.vault import VaultConfig
from models.regimes.rule import rank_in_year, rule_labels
from models.regimes.states import NO_STATE, VOLATILITY_REGIMES

AFTERMATH = timedelta(days=6)  # an event is looked at to the end of its week


def regimes(bars: Bars, vault: VaultConfig) -> dict[int, str]:
    """Volatility regime of the vault at its base weights, by the rule of `models.regimes`.

    Parameters
    ----------
    bars : all bars there are, not only those of the run: the rule needs a year before its first word.

    Returns
    -------
    dict
        UTC day since 1970 -> calm | normal | stressed as the closes until the end of the day before tell it. A day
        without a close, or before the rule can speak, is left out.
    """
    last = np.flatnonzero(np.append(np.diff(bars.days) > 0, True))
    closes, days = bars.filled[last], bars.days[last]
    returns = (closes[1:] / closes[:-1] - 1.0) @ as_row(vault, {a.symbol: a.base_weight for a in vault.assets})
    # On the calendar: a day without bars stays missing, and the return over it belongs to no single day.
    rv = np.full(int(days[-1] - days[0]), np.nan)
    single = np.diff(days) == 1
    rv[(days[1:] - days[0] - 1)[single]] = returns[single] ** 2
    states = rule_labels(rank_in_year(rv, PROTOCOLS[SeriesKind.VAULT]))
    first = int(days[0]) + 2  # of the labels: the first return is of the second day and speaks of the third
    return {first + n: VOLATILITY_REGIMES[s].value for n, s in enumerate(states.tolist()) if s != NO_STATE}


def windows_within(windows: Iterable[Window], first: date, last: date) -> tuple[Window, ...]:
    """Those of `windows` of which at least a day, or a day of the week after their begin, is from `first` to `last`."""
    return tuple(
        Window(each.name, each.first, each.last + AFTERMATH)
        for each in windows
        if each.first <= last and each.last + AFTERMATH >= first
    )
