"""The feature set by name: what each column of the pooled learners' design means, in what unit, from how much history.

The columns themselves are computed in `design`; a test holds the two together. Whoever changes what a column holds
raises `FEATURE_SET_VERSION`: a model that was fitted on other columns is another model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from models.contracts.horizons import PROTOCOLS, Protocol
from models.contracts.market import SeriesKind
from models.volatility.design import DRAWDOWN_WINDOW, LAGS, MARKET_WINDOW, PLAIN_COLUMNS, VARIANCE_COLUMNS
from models.volatility.panel import OPTIONAL_COLUMNS, REQUIRED_COLUMNS

FEATURE_SET_VERSION = "volatility-1"

# Rows after which an exponentially weighted mean (decay 0.94) has forgotten its start: 0.94^500 = 4e-14, so that even
# a first variance a million times the usual one moves it by less than the tolerance.
EWMA_MEMORY = 500
# Relative: a recursion forgets its start that far, running sums carry a rounding error of theirs, and columns are
# float32 (6e-8).
WARM_UP_TOLERANCE = 1e-6
MARKET_FILL = 3  # rows of another calendar that a market column may be carried over
MARKET_WEEK = 5

Reads = Literal["series", "panel"]


@dataclass(frozen=True, slots=True)
class Feature:
    """`warm_up`: rows of the series' own grid, its own row included, after which the value does not depend on how much
    history came before, up to `WARM_UP_TOLERANCE`. `reads` panel: of every series of the panel."""

    name: str
    meaning: str
    unit: str
    warm_up: int
    reads: Reads = "series"


_PLAIN: Mapping[str, tuple[str, str]] = {
    "parkinson": ("range estimator over realised variance", "ln ratio"),
    "garman_klass": ("range estimator over realised variance", "ln ratio"),
    "rogers_satchell": ("range estimator over realised variance", "ln ratio"),
    "rv_6h": ("variance of the last 6 hours over the day's", "ln ratio"),
    "rv_12h": ("variance of the last 12 hours over the day's", "ln ratio"),
    "neg_share": ("share of squared returns that fell", "0-1"),
    "jump_share": ("largest squared return over all", "0-1"),
    "unchanged_share": ("share of the last 22 days without a move", "0-1"),
    "ema_ratio": ("fast over slow exponential mean of the price", "ratio"),
    "vwap_gap": ("close over the volume-weighted price of the day", "ln ratio"),
    "volume_z": ("volume against its last 30 days", "standard deviations"),
    "premium": ("street rate over the official one", "ln ratio"),
    "premium_age_h": ("age of that street rate", "hours"),
    "funding_rate": ("newest funding of perpetual futures", "fraction in 8 hours"),
    "is_month_end": ("whether the first day forecast ends its month", "0 or 1"),
}


@cache
def features(kind: SeriesKind) -> tuple[Feature, ...]:
    """The columns of `build_design` for a kind of series, in their order."""
    protocol = PROTOCOLS[kind]
    return (*_own(protocol), *_given(), *_levels())


def feature_names(kind: SeriesKind) -> tuple[str, ...]:
    return tuple(feature.name for feature in features(kind))


def input_columns() -> tuple[str, ...]:
    """Columns of `features.volatility` that the features are made of; their windows are stated there."""
    return (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)


def _own(protocol: Protocol) -> list[Feature]:
    _, week, month = protocol.har_lags
    ln_variance = "ln of variance a day"
    found = [Feature(f"log_rv_{lag}", f"variance {lag} days before", ln_variance, lag + 1) for lag in range(LAGS)]
    for span in (week, month, 3 * month):
        found.append(Feature(f"log_mean_{span}", f"mean variance of {span} days", ln_variance, span))
    return [
        *found,
        Feature("log_ewma", "exponentially weighted variance", ln_variance, EWMA_MEMORY),
        Feature("vol_of_vol", "spread of the daily changes of ln variance over a month", "ln", month + 1),
        Feature("slope_short", "the day against its week", "ln ratio", week),
        Feature("slope_long", "the week against its quarter", "ln ratio", 3 * month),
        Feature("shock", "return of the day over expected volatility", "standard deviations", EWMA_MEMORY),
        Feature("shock_size", "its size", "standard deviations", EWMA_MEMORY),
        *[
            Feature(f"momentum_{span}", f"return over {span} days", "standard deviations", EWMA_MEMORY)
            for span in (week, month)
        ],
        Feature("rank", "rank of the variance in the last year", "0-1", protocol.spike_window),
        Feature(
            "drawdown", f"distance from the highest close of {DRAWDOWN_WINDOW} days", "daily standard deviations",
            max(EWMA_MEMORY, DRAWDOWN_WINDOW),
        ),
        Feature("weekday", "weekday of the first day forecast", "ISO, 1-7", 1),
    ]  # fmt: skip


def _given() -> list[Feature]:
    """Columns taken from `features.volatility` row by row: no history of their own here."""
    return [Feature(name, *_PLAIN[name], 1) for name in (*VARIANCE_COLUMNS, *PLAIN_COLUMNS)]


def _levels() -> list[Feature]:
    wide = MARKET_WINDOW + MARKET_FILL
    return [
        Feature("standard_level", "variance against its own last year", "standard deviations of ln", MARKET_WINDOW),
        Feature("market_mean", "mean standard level of the panel", "standard deviations of ln", wide, "panel"),
        Feature("market_max", "highest standard level of the panel", "standard deviations of ln", wide, "panel"),
        Feature(
            "market_week", "mean standard level of the panel in the last five days", "standard deviations of ln",
            wide + MARKET_WEEK - 1, "panel",
        ),
        Feature("relative_level", "own standard level against the panel's", "standard deviations of ln", wide, "panel"),
    ]  # fmt: skip
