"""What a drift alarm is: which stream, what kind, when, how far over which threshold, at which false-alarm rate.

Here: the vocabulary that all detectors of this package share. How each finds its alarms is in the file named for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class DriftKind(StrEnum):
    VOLATILITY = "volatility"  # against the stream's own past alone
    VOLATILITY_UNEXPLAINED = "volatility_unexplained"  # beyond what traded volume and the other streams explain
    RESIDUAL = "residual"  # of the served forecasts, hour by hour: off by a factor
    FEED_SCALE = "feed_scale"
    FEED_STALE = "feed_stale"
    FEED_SCHEMA = "feed_schema"
    DATA = "data"  # the distribution of features
    PREDICTION = "prediction"  # the distribution of issued scores
    CALIBRATION = "calibration"  # promised against seen spikes, as outcomes come in
    PERFORMANCE = "performance"  # losses against the plainest forecast
    MARKET_ANOMALY = "market_anomaly"
    DATA_ANOMALY = "data_anomaly"


# What a new model can answer. A feed that drifted is for the data engineer: fitting to it would only learn the fault.
RETRAIN_KINDS = (
    DriftKind.VOLATILITY, DriftKind.VOLATILITY_UNEXPLAINED, DriftKind.RESIDUAL, DriftKind.PERFORMANCE,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm of one subject (series, `vault:<id>` or panel).

    `detected_at`: moment at which the data that raised it was known. `window_start`, `window_end`: the data it speaks
    of. `per_quarter`: false alarms to be expected in a quarter of quiet data, by the subject's own history.
    `evidence`: small and JSON-able.
    """

    subject: str
    kind: DriftKind
    detected_at: datetime
    statistic: float
    threshold: float
    per_quarter: float
    window_start: datetime
    window_end: datetime
    evidence: Mapping[str, object] = field(default_factory=dict)


class NotEnoughHistory(ValueError):
    """The history is too short to say what is usual; the message names what is there and what is needed."""
